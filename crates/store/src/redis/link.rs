//! Connections: one for each runtime, driven there, so that a claim crosses no thread.
//!
//! A connection that broke, or did not answer several times in a row, is given up, and a new one learns anew which
//! server is at its other end. It is never repaired underneath: the run id that claims are made with is that of the
//! connection that they are sent on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Value};
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::address::Address;
use super::clock::{Clock, Top};
use super::gate::Gate;
use super::keys::Prefix;
use super::server::{RunId, Server};
use super::slots::{Node, Primary};
use super::suspicion::Suspicion;
use crate::admission::{StoreError, Unfit};

/// After so many times of a call without any answer, the connection is given up.
const MOST_SILENT: u32 = 3;
/// Commands that may wait for their answers on one connection. Beyond it they wait for their time to be over.
const MOST_WAITING: usize = 4096;
/// How many times a call's time it may take to connect: name, handshakes and what is to be learnt are several trips.
pub(super) const CONNECT_FACTOR: u32 = 4;

/// All connections of a store to one server.
#[derive(Debug)]
pub(super) struct Links {
    address: Address,
    member: Option<Member>,
    timeout: Duration,
    by_runtime: RwLock<HashMap<Id, Arc<Link>>>,
    gate: Gate,
    clock: Clock,
    told_lost: AtomicBool,
    /// Why the server is not used though it answers, as it was last looked at.
    unfit: Mutex<Option<Unfit>>,
    /// What the server was called when it was connected to last.
    latest_run: Mutex<Option<RunId>>,
}

/// What a server is in a cluster.
#[derive(Debug)]
struct Member {
    node: Node,
    /// The hash tag of a slot that it has, for its clock.
    tag: AtomicU32,
    /// What the cluster's slots are thought to be.
    suspicion: Arc<Suspicion>,
}

/// What one runtime has.
#[derive(Debug, Default)]
struct Link {
    line: Mutex<Option<Arc<Line>>>,
    connecting: tokio::sync::Mutex<()>,
}

/// A connection, and who is at its other end.
pub(super) struct Line {
    connection: MultiplexedConnection,
    pub(super) run: RunId,
    /// When it was made, and for how long after that it gave answers, in milliseconds.
    made: Instant,
    answered: AtomicU64,
    /// Whether the server's clock was looked at over this connection: what is known may be another's.
    looked: AtomicBool,
    /// Whether what was said over it came to nothing: the next order goes over another.
    broke: AtomicBool,
}

impl Line {
    /// In milliseconds.
    fn age(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn looked(&self) -> bool {
        self.looked.load(Ordering::Relaxed)
    }

    pub(super) fn has_looked(&self) {
        self.looked.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Links {
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        Self::with(address, timeout, None, Clock::default())
    }

    /// To a node of a cluster at `address`. `top` is that of all nodes.
    pub(super) fn of_node(
        address: Address,
        timeout: Duration,
        primary: &Primary,
        suspicion: Arc<Suspicion>,
        top: Arc<Top>,
    ) -> Self {
        let Primary { node, tag } = primary;
        let member = Member { node: node.clone(), tag: AtomicU32::new(*tag), suspicion };
        Self::with(address, timeout, Some(member), Clock::among(top))
    }

    fn with(address: Address, timeout: Duration, member: Option<Member>, clock: Clock) -> Self {
        Self {
            address,
            member,
            timeout,
            by_runtime: RwLock::default(),
            gate: Gate::default(),
            clock,
            told_lost: AtomicBool::new(false),
            unfit: Mutex::default(),
            latest_run: Mutex::default(),
        }
    }

    /// Where it is.
    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// What is known of the server's clock.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The name of the clock of the server at the other end.
    pub(super) fn clock_key(&self, prefix: &Prefix, line: &Line) -> String {
        match &self.member {
            None => prefix.clock(),
            Some(member) => prefix.node_clock(member.tag.load(Ordering::Relaxed), &line.run),
        }
    }

    /// The node of a cluster has another slot for its clock.
    pub(super) fn retag(&self, tag: u32) {
        if let Some(member) = &self.member {
            member.tag.store(tag, Ordering::Relaxed);
        }
    }

    /// Which node of a cluster it is.
    pub(super) fn node(&self) -> Option<&Node> {
        self.member.as_ref().map(|member| &member.node)
    }

    /// How often nothing could be asked any more.
    pub(super) fn interruptions(&self) -> u64 {
        self.gate.interruptions()
    }

    /// How often a connection could not be made, broke or fell silent.
    #[cfg(test)]
    pub(super) fn failures(&self) -> u64 {
        self.gate.failures()
    }

    /// Remembers what a look at the server came to, for those who claim.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn judge(&self, fitness: Result<(), Unfit>) -> Result<(), StoreError> {
        let mut unfit = self.unfit.lock().or(Err(StoreError::Poisoned))?;
        if let (None, Err(why)) = (*unfit, fitness) {
            tracing::error!(%why, node = self.shown(), "the store is used no more");
        }
        *unfit = fitness.err();
        Ok(())
    }

    /// As [`Links::line`], to a server that was fit when it was last looked at.
    ///
    /// # Errors
    /// As for [`Links::line`].
    pub(super) async fn fit_line(&self) -> Result<Arc<Line>, StoreError> {
        match *self.unfit.lock().or(Err(StoreError::Poisoned))? {
            None => {}
            Some(unfit) => return Err(StoreError::Unfit(unfit)),
        }
        let line = self.line().await?;
        if self.is_stale(&line)? {
            self.give_up(&line);
            return self.line().await;
        }
        Ok(line)
    }

    /// A connection of one's own, for who blocks it. It is never given to anybody else.
    ///
    /// # Errors
    /// As for [`Links::line`].
    pub(super) async fn own_line(&self) -> Result<Line, StoreError> {
        self.pass()?;
        let within = self.timeout.saturating_mul(CONNECT_FACTOR);
        let outcome = tokio::time::timeout(within, self.connect(within)).await;
        match outcome.unwrap_or(Err(StoreError::Unavailable)) {
            Ok(line) => {
                self.gate.open();
                self.told_lost.store(false, Ordering::Relaxed);
                Ok(line)
            }
            Err(error) => {
                self.lost(error);
                Err(error)
            }
        }
    }

    /// A connection for an order that no failure before it may hold up: it is tried whether it is time or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is none within `within`.
    pub(super) async fn line_for_order(&self, within: Duration) -> Result<Arc<Line>, StoreError> {
        let link = self.link()?;
        if let Some(line) = link.current()?
            && !line.broke.load(Ordering::Relaxed)
            && !self.is_stale(&line)?
        {
            return Ok(line);
        }
        let outcome = tokio::time::timeout(within, self.connect(within)).await;
        let line = Arc::new(outcome.unwrap_or(Err(StoreError::Unavailable))?);
        self.gate.open();
        self.told_lost.store(false, Ordering::Relaxed);
        link.set(Some(Arc::clone(&line)))?;
        Ok(line)
    }

    /// Whether another connection learnt that the server is not what it was when this one was made.
    fn is_stale(&self, line: &Line) -> Result<bool, StoreError> {
        Ok(self.latest_run.lock().or(Err(StoreError::Poisoned))?.as_ref() != Some(&line.run))
    }

    /// This runtime's connection, made now if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is none within the time of a call, or it is too early to try again;
    /// [`StoreError::Unfit`].
    pub(super) async fn line(&self) -> Result<Arc<Line>, StoreError> {
        let link = self.link()?;
        if let Some(line) = link.current()? {
            return Ok(line);
        }
        // Others of this runtime wait for the one who connects.
        let Ok(_turn) = tokio::time::timeout(self.timeout, link.connecting.lock()).await else {
            return Err(StoreError::Unavailable);
        };
        if let Some(line) = link.current()? {
            return Ok(line);
        }
        self.pass()?;
        let within = self.timeout.saturating_mul(CONNECT_FACTOR);
        let outcome = tokio::time::timeout(within, self.connect(within)).await;
        let line = match outcome.unwrap_or(Err(StoreError::Unavailable)) {
            Ok(line) => Arc::new(line),
            Err(error) => {
                self.lost(error);
                return Err(error);
            }
        };
        self.gate.open();
        self.told_lost.store(false, Ordering::Relaxed);
        link.set(Some(Arc::clone(&line)))?;
        Ok(line)
    }

    /// Sends one command and waits for its answer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none came in time. What was sent may have been done.
    pub(super) async fn ask(&self, line: &Arc<Line>, command: &Cmd) -> Result<Value, Unanswered> {
        let mut connection = line.connection.clone();
        // A decision that ends at its deadline, while it waits here, has heard nothing either.
        let waits = Waiting { links: self, line, heard: false };
        match tokio::time::timeout(self.timeout, connection.send_packed_command(command)).await {
            Ok(answer) => {
                waits.heard();
                // An answer may also be an error that the server made.
                answer.and_then(Value::extract_error).map_err(|error| self.failed(line, &error))
            }
            // What that means for the connection is told when `waits` is dropped.
            Err(_elapsed) => Err(Unanswered::Error(StoreError::Unavailable)),
        }
    }

    /// What came over it was no answer to what was asked. So may be what comes next: it may be another's (C-04).
    pub(super) fn distrust(&self, line: &Arc<Line>) -> StoreError {
        self.give_up(line);
        StoreError::Foreign
    }

    /// Whether a connection may be tried now. Where not, somebody else may have taken the server's place.
    fn pass(&self) -> Result<(), StoreError> {
        self.gate.pass(Instant::now()).inspect_err(|_| self.suspect())
    }

    fn suspect(&self) {
        if let Some(member) = &self.member {
            member.suspicion.raise();
        }
    }

    fn shown(&self) -> Option<String> {
        self.node().map(ToString::to_string)
    }

    fn link(&self) -> Result<Arc<Link>, StoreError> {
        let id = Handle::try_current().or(Err(StoreError::Unavailable))?.id();
        if let Some(link) = self.by_runtime.read().or(Err(StoreError::Poisoned))?.get(&id) {
            return Ok(Arc::clone(link));
        }
        let mut links = self.by_runtime.write().or(Err(StoreError::Poisoned))?;
        Ok(Arc::clone(links.entry(id).or_default()))
    }

    /// What an error says about the connection and the server.
    fn failed(&self, line: &Arc<Line>, error: &RedisError) -> Unanswered {
        match error.code() {
            Some("NOSCRIPT") => Unanswered::NoScript,
            Some(_) if says(error, "OOM") => Unanswered::Error(StoreError::Full),
            Some(_) if is_foreign(error) => Unanswered::Error(StoreError::Foreign),
            // Nothing was done. Other slots of the node are as they were, so the connection stays.
            Some(_) if self.member.is_some() && (says(error, "MOVED") || says(error, "CLUSTERDOWN")) => {
                self.suspect();
                Unanswered::Error(StoreError::Unavailable)
            }
            // It follows another now, or the password is another: whoever connects next learns it.
            Some(_) if says(error, "READONLY") || says(error, "NOAUTH") || says(error, "MOVED") => {
                self.give_up(line);
                Unanswered::Error(StoreError::Unavailable)
            }
            Some(_) => Unanswered::Error(StoreError::Unavailable),
            None => {
                self.give_up(line);
                Unanswered::Error(StoreError::Unavailable)
            }
        }
    }

    /// Whoever still waits on it goes on waiting for his time; nobody else is given it.
    pub(super) fn give_up(&self, line: &Arc<Line>) {
        if let Ok(link) = self.link()
            && let Ok(mut current) = link.line.lock()
            && current.as_ref().is_some_and(|current| Arc::ptr_eq(current, line))
        {
            *current = None;
            self.gate.ajar(line.made, Instant::now());
            self.told(StoreError::Unavailable);
        }
    }

    /// One line in the log for all that fails until there is a connection again.
    fn lost(&self, error: StoreError) {
        self.gate.close(Instant::now());
        self.told(error);
    }

    /// One line for all.
    fn told(&self, error: StoreError) {
        self.suspect();
        if !self.told_lost.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, node = self.shown(), "the store is lost");
        }
    }

    async fn connect(&self, within: Duration) -> Result<Line, StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            // Each who asks has a time of his own: orders and loads a longer one than decisions.
            .set_response_timeout(None)
            .set_concurrency_limit(MOST_WAITING);
        let client = self.address.primary(within).await?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| unreachable_server(&error))?;
        let info = redis::cmd("INFO").query_async::<String>(&mut connection).await;
        let server = Server::read(&info.map_err(|error| unreachable_server(&error))?, self.member.is_some())
            .map_err(StoreError::Unfit)?;
        if let Some(member) = &self.member {
            member.recognize(&mut connection).await?;
        }
        let Server { run, version, replicas, fenced } = server;
        *self.latest_run.lock().or(Err(StoreError::Poisoned))? = Some(run.clone());
        tracing::info!(%version, replicas, node = self.shown(), "connected to the store");
        if replicas > 0 && !fenced {
            tracing::warn!(
                replicas,
                node = self.shown(),
                "the store has replicas, and min-replicas-to-write is 0: a primary that was cut off goes on taking \
                 claims, and a proof may pass on both sides"
            );
        }
        Ok(Line {
            connection,
            run,
            made: Instant::now(),
            answered: AtomicU64::new(0),
            looked: AtomicBool::new(false),
            broke: AtomicBool::new(false),
        })
    }
}

impl Member {
    /// Whether who listens there is the node that was meant: its place may have been given to another's.
    async fn recognize(&self, connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
        let id = redis::cmd("CLUSTER").arg("MYID").query_async::<String>(connection).await;
        if id.map_err(|error| unreachable_server(&error))? == self.node.id {
            return Ok(());
        }
        tracing::debug!(node = %self.node, "another listens where a node of the cluster was");
        Err(StoreError::Unavailable)
    }
}

impl From<Unanswered> for StoreError {
    /// A script that is said in full is known, so whoever says otherwise is no Redis.
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NoScript => Self::Foreign,
            Unanswered::Error(error) => error,
        }
    }
}

impl Line {
    /// Says commands at once and gives their answers, none of which is an error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if they did not come within `within`; whatever an answer says.
    pub(super) async fn say(&self, commands: &Pipeline, within: Duration) -> Result<Vec<Value>, StoreError> {
        let mut connection = self.connection.clone();
        let count = commands.len();
        match tokio::time::timeout(within, connection.send_packed_commands(commands, 0, count)).await {
            Ok(Ok(answers)) => answers
                .into_iter()
                .map(|answer| answer.extract_error().map_err(|error| refused(&error)))
                .collect(),
            Ok(Err(error)) => {
                self.broke.store(true, Ordering::Relaxed);
                Err(unreachable_server(&error))
            }
            Err(_elapsed) => {
                self.broke.store(true, Ordering::Relaxed);
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Says one command.
    ///
    /// # Errors
    /// As for [`Line::say`].
    pub(super) async fn say_one(&self, command: Cmd, within: Duration) -> Result<Value, StoreError> {
        let mut commands = Pipeline::new();
        commands.add_command(command);
        self.say(&commands, within).await?.pop().ok_or(StoreError::Foreign)
    }
}

/// A call that waits for its answer.
struct Waiting<'a> {
    links: &'a Links,
    line: &'a Arc<Line>,
    heard: bool,
}

impl Waiting<'_> {
    fn heard(mut self) {
        self.heard = true;
        self.line.answered.fetch_max(self.line.age(), Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let most =
            u64::try_from(self.links.timeout.saturating_mul(MOST_SILENT).as_millis()).unwrap_or(u64::MAX);
        let silent = self.line.age().saturating_sub(self.line.answered.load(Ordering::Relaxed));
        if !self.heard && silent >= most {
            self.links.give_up(self.line);
        }
    }
}

/// What a command came to, if not to an answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The server has not kept the script.
    NoScript,
    /// Nothing that can be gone on with.
    Error(StoreError),
}

impl Link {
    fn current(&self) -> Result<Option<Arc<Line>>, StoreError> {
        Ok(self.line.lock().or(Err(StoreError::Poisoned))?.clone())
    }

    fn set(&self, line: Option<Arc<Line>>) -> Result<(), StoreError> {
        *self.line.lock().or(Err(StoreError::Poisoned))? = line;
        Ok(())
    }
}

/// Before 7.0 an error within a script is told in the text of another.
fn says(error: &RedisError, code: &str) -> bool {
    error.code() == Some(code)
        || error.detail().is_some_and(|text| text.split([' ', '-']).any(|word| word == code))
}

/// Whether what lies there is not ours.
fn is_foreign(error: &RedisError) -> bool {
    error.code().is_some() && (says(error, "WRONGTYPE") || says(error, "SCHEMA"))
}

/// What an answer that is an error comes to, where nobody decides by it.
fn refused(error: &RedisError) -> StoreError {
    if is_foreign(error) { StoreError::Foreign } else { unreachable_server(error) }
}

/// The kind and code of an error are told, never its text, which may have been made by anybody.
pub(super) fn unreachable_server(error: &RedisError) -> StoreError {
    tracing::debug!(kind = ?error.kind(), code = error.code(), "no connection to the store");
    StoreError::Unavailable
}
