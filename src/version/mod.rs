//! Versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x")]
pub struct InvalidVersion;
pub fn parse(text: &str) -> Result<semver::Version, InvalidVersion> {
    semver::Version::parse(text).map_err(|_| InvalidVersion)
}
