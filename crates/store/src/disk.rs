//! What is asked of the file system, one step at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The file system. In tests it can end at any step, as a process does that is killed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) fuse: Fuse,
}

impl Disk {
    /// An empty file, for its owner only.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
    }

    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().read(true).write(true).open(path)
    }

    pub(crate) fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        self.fuse.write_half(file, bytes, at)?;
        file.write_all_at(bytes, at)
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        file.sync_data()
    }

    pub(crate) fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        self.step()?;
        file.set_len(length)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::rename(from, to)
    }

    /// Returns once the names in the folder are on the disk.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        File::open(folder)?.sync_all()
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a step of tests"))]
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        self.fuse.burn()?;
        Ok(())
    }
}

/// Lets so many steps pass. The next one fails, and a write has written half then; so do all after it, or none.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Fuse(std::sync::Arc<std::sync::Mutex<Burning>>);

#[cfg(test)]
#[derive(Debug, Default)]
struct Burning {
    left: Option<usize>,
    once: bool,
    blown: bool,
}

#[cfg(test)]
impl Fuse {
    /// As a process is killed: nothing happens after it.
    pub(crate) fn of(steps: usize) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(Burning {
            left: Some(steps),
            once: false,
            blown: false,
        })))
    }

    /// As a disk is full for a moment.
    pub(crate) fn once(steps: usize) -> Self {
        Self(std::sync::Arc::new(std::sync::Mutex::new(Burning {
            left: Some(steps),
            once: true,
            blown: false,
        })))
    }

    pub(crate) fn blown(&self) -> bool {
        self.0.lock().unwrap().blown
    }

    fn burn(&self) -> io::Result<()> {
        let mut burning = self.0.lock().unwrap();
        match burning.left {
            None => Ok(()),
            Some(0) => {
                burning.blown = true;
                if burning.once {
                    burning.left = None;
                }
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(left) => {
                burning.left = Some(left - 1);
                Ok(())
            }
        }
    }

    fn write_half(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        let before = self.blown();
        let burnt = self.burn();
        if burnt.is_err() && !before {
            file.write_all_at(&bytes[..bytes.len() / 2], at)?;
        }
        burnt
    }
}
