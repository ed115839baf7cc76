//! Lines as syslog messages (RFC 5424), over a datagram socket (RFC 5426 for UDP) or TCP with octet counting (RFC 6587
//! §3.4.1).

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use super::{Delivery, Outlet, OutletError};
use crate::format::Format;
use crate::statement::{Severity, Statement};

/// How long a receiver may take to take a connection, or bytes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the receiver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram socket.
    Unix(PathBuf),
    /// UDP, host and port: what is lost on the way nobody knows.
    Udp(String),
    /// TCP, host and port: what the system took and had not sent when the connection broke, nobody knows.
    Tcp(String),
}

/// What kind of program it is (RFC 5424 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the table in the RFC")]
pub enum Facility {
    Auth,
    AuthPriv,
    Audit,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// A syslog receiver.
#[derive(Debug)]
pub struct Syslog {
    format: Format,
    address: SyslogAddress,
    facility: Facility,
    /// The host, and the longest message in bytes.
    host: String,
    most: usize,
    /// How long the receiver may take.
    patience: Duration,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    /// Sends to `address`, once there is something to be sent; connects anew after each failure. A message of more than `most`
    /// bytes is refused.
    #[must_use]
    pub fn new(address: SyslogAddress, facility: Facility, host: &str, most: usize, format: Format) -> Self {
        let host = printable(host, 255);
        Self { format, address, facility, host, most, patience: PATIENCE, socket: None }
    }

    /// RFC 5424 §6: `<PRI>1 TIME HOST APP PROCID MSGID STRUCTURED-DATA MSG`. The run stands where a process's id goes.
    fn message(&self, run: &str, json: &[u8]) -> Result<Vec<u8>, OutletError> {
        let line = Statement::read(json).ok_or(OutletError::Format)?;
        let severity = match line.severity() {
            Severity::Information => 6,
            Severity::Warning => 4,
            Severity::Error => 3,
        };
        let priority = u16::from(self.facility.code()) * 8 + severity;
        let (host, run) = (&self.host, printable(run, 128));
        let (time, kind) = (line.time(), line.kind());
        // The number in the chain, as far as RFC 5424 §7.3.1 can count.
        let number = line.place().map_or_else(
            || "-".to_owned(),
            |link| format!("[meta sequenceId=\"{}\"]", link.seq.saturating_sub(1) % 2_147_483_647 + 1),
        );
        let mut message =
            format!("<{priority}>1 {time:.3} {host} exequatur {run} {kind} {number} ").into_bytes();
        message.extend_from_slice(&self.format.render(&run, json)?);
        if message.len() > self.most { Err(OutletError::TooLong) } else { Ok(message) }
    }

    fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        let socket = match socket {
            Socket::Unix(socket) => socket.send(message).map(|_| Socket::Unix(socket)),
            Socket::Udp(socket) => socket.send(message).map(|_| Socket::Udp(socket)),
            Socket::Tcp(mut stream) => {
                is_open(&stream)?;
                let mut framed = format!("{} ", message.len()).into_bytes();
                framed.extend_from_slice(message);
                // After a piece of a message nothing can follow on this connection.
                stream.write_all(&framed).map(|()| Socket::Tcp(stream))
            }
        };
        self.socket = Some(socket?);
        Ok(())
    }

    fn connect(&self) -> std::io::Result<Socket> {
        Ok(match &self.address {
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(self.patience))?;
                socket.connect(path)?;
                Socket::Unix(socket)
            }
            SyslogAddress::Udp(address) => {
                let address = resolved(address)?;
                let any: SocketAddr =
                    if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.set_write_timeout(Some(self.patience))?;
                socket.connect(address)?;
                Socket::Udp(socket)
            }
            SyslogAddress::Tcp(address) => {
                let stream = TcpStream::connect_timeout(&resolved(address)?, self.patience)?;
                stream.set_write_timeout(Some(self.patience))?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
        })
    }
}

impl Outlet for Syslog {
    fn deliver(&mut self, run: &str, lines: &[&[u8]]) -> Delivery {
        for (taken, line) in lines.iter().enumerate() {
            let sent = match self.message(run, line) {
                Ok(message) => self.send(&message),
                Err(error) => return Delivery { taken, refused: 1, error: Some(error) },
            };
            match sent {
                Ok(()) => {}
                // The system's own bound for a datagram: it would say so again.
                Err(error) if error.raw_os_error() == Some(TOO_LONG) => {
                    return Delivery { taken, refused: 1, error: Some(OutletError::TooLong) };
                }
                Err(error) => return Delivery::cut(taken, error.into()),
            }
        }
        Delivery::all(lines)
    }
}

/// `EMSGSIZE`, for which the standard library has no name.
const TOO_LONG: i32 = 90;

/// A name is looked up for each connection, by this thread only.
fn resolved(address: &str) -> std::io::Result<SocketAddr> {
    address.to_socket_addrs()?.next().ok_or_else(|| ErrorKind::NotFound.into())
}

/// A receiver sends nothing: what can be read is the end of the connection, and what is written then is lost.
fn is_open(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(true)?;
    let looked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match looked {
        Ok(0) => Err(ErrorKind::ConnectionAborted.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// RFC 5424 §6: printable ASCII, at most so much; `-` for nothing.
fn printable(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

impl Facility {
    /// Its number.
    const fn code(self) -> u8 {
        match self {
            Self::Auth => 4,
            Self::AuthPriv => 10,
            Self::Audit => 13,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

#[cfg(test)]
mod tests;
