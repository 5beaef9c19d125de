//! The bulkhead.
