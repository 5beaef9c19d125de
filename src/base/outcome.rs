//! How a request, a call or an attempt can end.

/// The outcomes of a request. They add up: arrivals = the sum of outcomes + still in flight, always.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Outcome {
    /// Answered in full.
    Ok = 0,
    /// Answered by a fallback, or with a part missing.
    Degraded = 1,
    /// Answered with an error, or the connection was broken.
    Error = 2,
    /// No answer within a time limit.
    Timeout = 3,
    /// Turned away by a limit: a full queue, a breaker, a bulkhead, a pool, a shedder.
    Rejected = 4,
    /// There was no target to send it to.
    Unavailable = 5,
    /// The caller gave up and called it off.
    Cancelled = 6,
}

impl Outcome {
    /// How many outcomes there are.
    pub const COUNT: usize = 7;

    /// All outcomes, in the order used by every table.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ok,
        Self::Degraded,
        Self::Error,
        Self::Timeout,
        Self::Rejected,
        Self::Unavailable,
        Self::Cancelled,
    ];

    /// Whether the caller got something that it can use (`Ok` or `Degraded`).
    #[inline]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Degraded)
    }

    /// The name used in metric paths and in the language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
        }
    }
}
