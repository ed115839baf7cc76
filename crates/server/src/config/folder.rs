//! A folder of files that a configuration names, for tests.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::{Config, Problems, Source, from_text};

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// With a certificate, its key, and `credentials`.
    pub(super) fn new(certificate: &str, key: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let party = rcgen::generate_simple_self_signed(["party".to_owned()]).unwrap();
        folder.write(certificate, &party.cert.pem());
        folder.write(key, &party.signing_key.serialize_pem());
        folder.write("credentials", "me:secret word\n");
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file that the group may read, and nobody else.
    pub(super) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
        self.set_mode(name, 0o640);
    }

    pub(super) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// What a configuration in this folder comes to.
    pub(super) fn read(&self, text: String) -> Result<Config, Problems> {
        from_text(Source { path: self.path("exequatur.yaml"), text: text.into() })
    }
}
