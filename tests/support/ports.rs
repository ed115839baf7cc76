//! Ports for processes that bind them later.
//!
//! A port that the system hands out is free again once it is let go, and the next to ask, here or in another test
//! process, may be given it; even two servers may come to listen on it, as Envoy lets the system share a port. So ports
//! come from below the range that the system hands out, and a locked file says whose they are.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;

/// The first port, how many there are in a block, and how many blocks: below 32768, where Linux begins to hand out.
const FIRST: u16 = 20_000;
const EACH: u16 = 8;
const BLOCKS: u16 = 1500;

/// Ports of the loopback that nobody else is given while this lives.
#[derive(Debug)]
pub struct Reserved {
    _lock: File,
    first: u16,
}

impl Reserved {
    /// A block of which no port is in use.
    ///
    /// # Errors
    /// What the system says; or that no block is free.
    pub fn block() -> io::Result<Self> {
        let user = std::fs::metadata("/proc/self")?.uid();
        let folder = std::env::temp_dir().join(format!("exequatur-ports-{user}"));
        std::fs::create_dir_all(&folder)?;
        for block in 0..BLOCKS {
            let lock = File::create(folder.join(block.to_string()))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let first = FIRST + block * EACH;
            let unused = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            if (first..first + EACH).all(unused) {
                return Ok(Self { _lock: lock, first });
            }
        }
        Err(io::Error::other("no block of ports is free"))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> [u16; 8] {
        std::array::from_fn(|index| self.first + u16::try_from(index).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_not_shared() {
        let (one, other) = (Reserved::block().unwrap(), Reserved::block().unwrap());
        assert!(one.all().iter().all(|port| !other.all().contains(port)));
    }

    #[test]
    fn a_block_with_a_port_in_use_is_passed_over() {
        let reserved = Reserved::block().unwrap();
        let [.., last] = reserved.all();
        let _foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, last)).unwrap();
        drop(reserved);
        let next = Reserved::block().unwrap();
        assert!(!next.all().contains(&last));
    }
}
