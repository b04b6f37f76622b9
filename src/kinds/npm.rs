//! Versions of npm packages, as Actions and Functions name them.

/// Whether a version names one release and no range or tag.
pub fn exact(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u64>().is_ok())
}

/// Whether a version that was sent may read back as that one: what moves may read back as the release that it stood for.
pub fn reads_back(sent: &str, there: &str) -> bool {
    sent == there || (!exact(sent) && exact(there))
}
