//! Log streams in the manifest: the stream of the feedback.

/// Name of the kind, and address of the stream of the feedback.
pub const NAME: &str = "log_stream";
/// Its section.
pub const SECTION_PATH: &str = "feedback.log_stream";
