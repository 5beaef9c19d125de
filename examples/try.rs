use brownout::experiment::{run, plan, Changes};
use brownout::spec::load::Loader;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut loader = Loader::default();
    let doc = loader.load(std::path::Path::new(&args[1]), &args[2..]);
    let p = doc.and_then(|d| plan(&mut loader, d, &Changes::default()));
    eprintln!("{}", loader.diagnostics.render(&loader.sources, false));
    let Some(p) = p else { std::process::exit(2) };
    let t = std::time::Instant::now();
    let r = run(&p, 2, &()).unwrap();
    eprintln!("{:?} {} events", t.elapsed(), r.events);
    for v in &r.variants {
        println!("== {} requests {} events {} fp {:x?}", v.name, v.requests, v.events, v.fingerprints);
        for m in &v.metrics { if let Some(e) = m.estimate { if e.mean != 0.0 { println!("{:60} {}  ± {:?}", m.path, m.unit.text(e.mean), e.half_width); } } }
        for f in &v.faults { println!("{f:?}"); }
        for l in v.log[0].lines.iter().take(40) { println!("{l:?}"); }
    }
    for e in &r.expectations { println!("{e:?}"); }
    println!("{:?}", r.warnings);
}
