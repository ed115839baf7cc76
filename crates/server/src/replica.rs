//! What this process is called among the replicas.

use std::path::Path;

use exequatur_store::ReplicaName;

/// Where Linux tells the host's name, which in a pod is that of the pod.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The configured name, else the host's.
pub(crate) fn name(configured: Option<&ReplicaName>) -> Option<ReplicaName> {
    configured.cloned().or_else(|| host_name(Path::new(HOST_NAME)))
}

/// None if the host has none that can be shown: the replica is known by its id then.
fn host_name(file: &Path) -> Option<ReplicaName> {
    let text = std::fs::read_to_string(file).ok()?;
    ReplicaName::parse(text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_name_comes_before_the_host_s() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hostname");
        let configured = ReplicaName::parse("eu-1").unwrap();
        assert_eq!(name(Some(&configured)), Some(configured));
        assert_eq!(host_name(&file), None);
        for (text, expected) in [("pod-7d9f\n", Some("pod-7d9f")), ("(none)\n", None), ("\n", None)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(host_name(&file), expected.and_then(ReplicaName::parse), "{text}");
        }
    }
}
