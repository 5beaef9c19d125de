//! Ctrl-C: asked once, work stops at the end of the runs that are under way; asked again, at once.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// Begins to listen. Where that is not possible, Ctrl-C ends the process as it always does.
pub fn listen() {
    let _ = ctrlc::set_handler(|| {
        if IS_ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether somebody has asked to stop.
pub fn is_asked() -> bool {
    IS_ASKED.load(Ordering::SeqCst)
}
