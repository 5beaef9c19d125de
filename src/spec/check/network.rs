//! Values of connections.

use super::values::{at_least_one, positive_time};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::connect::Connect;

/// As far as the kernel lets itself be set: 127 for `tcp_syn_retries`, 255 for `tcp_retries2`.
const SYN_MAX: u32 = 127;
const RETRIES2_MAX: u32 = 255;

pub(super) fn connect(c: &Connect, cx: &mut Context) {
    for (value, what, max) in [
        (c.tcp_syn_retries, "tcp_syn_retries", SYN_MAX),
        (c.tcp_syn_linear_timeouts, "tcp_syn_linear_timeouts", SYN_MAX),
        (c.tcp_retries2, "tcp_retries2", RETRIES2_MAX),
    ] {
        if value > max {
            cx.diagnostics.push(
                Diagnostic::error(c.place(what), format!("`{what}` must be at most {max}"))
                    .label(format!("`{what}` is {value}")),
            );
        }
    }
    if c.loss.0 >= 1.0 {
        cx.fail::<()>(c.place("loss"), "`loss` must be below 100%: no connection would ever open");
    }
    for (time, what) in [
        (c.connect_timeout, "connect_timeout"),
        (c.keep_alive, "keep_alive"),
        (c.tcp_user_timeout, "tcp_user_timeout"),
    ] {
        time.iter().for_each(|t| positive_time(*t, what, c.place(what), cx));
    }
    if let Some(d) = &c.dns {
        at_least_one(d.attempts, "attempts", d.place("attempts"), cx);
        at_least_one(d.queries, "queries", d.place("queries"), cx);
        if d.queries > 100 || d.attempts > 100 {
            cx.fail::<()>(d.span, "`queries` and `attempts` must be at most 100");
        }
        positive_time(d.timeout, "timeout", d.place("timeout"), cx);
    }
}
