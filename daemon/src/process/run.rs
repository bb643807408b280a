//! One run of a service, as the daemon sees it: starts the keeper, hands on orders, logs the output, and tells in
//! events how it goes. Whatever happens, exactly one of `Exited` and `SpawnFailed` ends it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use archive::folder::Folder;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::Level;

use super::cgroup::{self, Group, Tree};
use super::output::{Lines, Piece};
use super::{End, KEEPER, Launch, Order, Report, strip};
use crate::config::service::{Limits, OutputRules};
use crate::event::{Event, Exit, RunId, Sender, ServiceId};
use crate::log::SERVICE;

/// A run gets one request to end and a few orders to kill; the keeper reads them at once.
const ORDERS: usize = 16;
const READ_BYTES: usize = 16 * 1024;
/// How long after the end of all its processes the rest of the output may take.
const DRAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Job {
    pub service: ServiceId,
    pub run: RunId,
    pub launch: Launch,
    pub output: OutputRules,
    /// Where its limits can be had.
    pub tree: Option<Tree>,
    pub limits: Limits,
}

/// The handle to a run. Dropping it ends the run: SIGTERM, a second, SIGKILL.
#[derive(Debug)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
}

impl Handle {
    pub fn signal(&self, signal: Signal) {
        self.order(Order::Signal(signal as i32));
    }

    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    fn order(&self, order: Order) {
        // Closed after the run's end, when there is nothing left to order; full never (see ORDERS).
        let _ = self.orders.try_send(order);
    }
}

/// Starts a run on the present runtime.
pub fn start(job: Job, events: Sender) -> Handle {
    let (orders, inbox) = mpsc::channel(ORDERS);
    tokio::spawn(async move {
        let (service, run) = (job.service, job.run);
        let event = match run_to_end(job, inbox, &events).await {
            Ok((exit, last_line)) => Event::Exited {
                service,
                run,
                exit,
                last_line,
            },
            Err(error) => Event::SpawnFailed {
                service,
                run,
                error: error.to_string(),
            },
        };
        // Closed only when the daemon ends.
        let _ = events.send(event).await;
    });
    Handle { orders }
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Group(#[from] cgroup::Error),
    #[error("cannot make {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot make its directories: {0}")]
    Directories(#[from] JoinError),
    #[error("cannot start a keeper: {0}")]
    Keeper(io::Error),
    #[error("no pipes from the keeper")]
    NoPipes,
    /// In the keeper's own words.
    #[error("{0}")]
    Told(String),
}

async fn run_to_end(
    mut job: Job,
    mut orders: mpsc::Receiver<Order>,
    events: &Sender,
) -> Result<(Exit, Option<String>), Failed> {
    let bound = job.tree.as_ref().filter(|_| job.limits.is_some());
    let group = bound
        .map(|tree| tree.group(&job.launch.name, job.run.0, job.limits))
        .transpose()?;
    job.launch.entrance = group.as_ref().map(Group::entrance);
    prepare(&job.launch).await?;
    let mut keeper = spawn_keeper(&job.launch)?;
    let mut kept = Kept::new(job, &mut keeper).ok_or(Failed::NoPipes)?;
    write_line(&mut kept.stdin, &kept.job.launch).await;
    let followed = kept.follow(&mut orders, events).await;
    if followed.is_ok() && kept.end.is_none() {
        abandon(&kept.job.launch.name, kept.pid);
    }
    let _ = keeper.wait().await;
    followed?;
    let (exit, last_line) = kept.ended();
    let verdict = group.as_ref().and_then(Group::verdict);
    Ok((exit, verdict.or(last_line)))
}

/// A keeper and its service while they live.
struct Kept {
    job: Job,
    stdin: Option<ChildStdin>,
    reports: tokio::io::Lines<BufReader<ChildStdout>>,
    output: ChildStderr,
    output_open: bool,
    buffer: Vec<u8>,
    begun: Instant,
    lines: Lines,
    pieces: Vec<Piece>,
    pid: Option<u32>,
    end: Option<End>,
    /// Set with the keeper's last report: what the service wrote may still be on its way.
    drain_until: Option<Instant>,
}

impl Kept {
    fn new(job: Job, keeper: &mut Child) -> Option<Kept> {
        Some(Kept {
            stdin: keeper.stdin.take(),
            reports: BufReader::new(keeper.stdout.take()?).lines(),
            output: keeper.stderr.take()?,
            output_open: true,
            buffer: vec![0; READ_BYTES],
            begun: Instant::now(),
            lines: Lines::new(job.output.clone()),
            pieces: Vec::new(),
            pid: None,
            end: None,
            drain_until: None,
            job,
        })
    }

    /// Until the service has ended and its output is read, or the keeper says that nothing runs.
    async fn follow(&mut self, orders: &mut mpsc::Receiver<Order>, events: &Sender) -> Result<(), Failed> {
        loop {
            tokio::select! {
                line = self.reports.next_line(), if self.drain_until.is_none() => {
                    let report = line.ok().flatten().and_then(|line| serde_json::from_str(&line).ok());
                    self.told(report, events).await?;
                }
                read = self.output.read(&mut self.buffer), if self.output_open => self.wrote(read),
                order = orders.recv(), if self.stdin.is_some() => match order {
                    Some(order) => write_line(&mut self.stdin, &order).await,
                    None => self.stdin = None,
                },
                () = sleep_until(self.drain_until), if self.drain_until.is_some() => return Ok(()),
            }
            if self.drain_until.is_some() && !self.output_open {
                return Ok(());
            }
        }
    }

    async fn told(&mut self, report: Option<Report>, events: &Sender) -> Result<(), Failed> {
        match report {
            Some(Report::Started(pid)) => {
                self.pid = Some(pid);
                let (service, run) = (self.job.service, self.job.run);
                let _ = events.send(Event::Spawned { service, run, pid }).await;
                return Ok(());
            }
            Some(Report::Failed(error)) => return Err(Failed::Told(error)),
            Some(Report::Ended(how)) => self.end = Some(how),
            // The keeper is gone, or not ours.
            None => {}
        }
        self.drain_until = Some(Instant::now() + DRAIN);
        Ok(())
    }

    fn wrote(&mut self, read: io::Result<usize>) {
        match read {
            Ok(count) if count > 0 => {
                let written = &self.buffer[..count];
                self.lines.push(written, self.begun.elapsed(), &mut self.pieces);
            }
            _ => self.output_open = false,
        }
        log(&self.job.launch.name, &mut self.pieces);
    }

    /// How it ended, and its last line.
    fn ended(mut self) -> (Exit, Option<String>) {
        self.lines.finish(self.begun.elapsed(), &mut self.pieces);
        log(&self.job.launch.name, &mut self.pieces);
        let exit = match self.end {
            Some(End::Code(code)) => Exit::Code(code),
            Some(End::Signal(signal)) => Exit::Signal(signal),
            None => Exit::Unknown,
        };
        let last_line = self.lines.last().map(|line| strip::strip(&line).1.to_owned());
        (exit, last_line)
    }
}

fn spawn_keeper(launch: &Launch) -> Result<Child, Failed> {
    Command::new(super::own_program())
        .arg0(format!("pillar-keeper {}", launch.name))
        .arg(KEEPER)
        .arg(&launch.name)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failed::Keeper)
}

/// The service's directories; not on this thread, for the disk that they are on may be stuck.
async fn prepare(launch: &Launch) -> Result<(), Failed> {
    let (directories, user) = (launch.owned.clone(), launch.user.clone());
    let made = tokio::task::spawn_blocking(move || {
        directories
            .into_iter()
            .try_for_each(|path| give(&path, user.as_deref()).map_err(|source| Failed::Directory { path, source }))
    });
    made.await?
}

/// A directory of the service's own account. Only its top is given away: what is in it was made by the service. One may
/// be in another, so that a link may be in its place: what that leads to is not given away.
fn give(directory: &Path, user: Option<&str>) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let user = user.map(User::from_name).transpose()?.flatten();
    match user {
        Some(user) if geteuid().is_root() => Folder::open(directory)?.give(user.uid.as_raw(), user.gid.as_raw()),
        _ => Ok(()),
    }
}

/// The keeper was killed. Its service dies with it by the parent-death signal; what the service started may still be
/// in its group.
fn abandon(name: &str, pid: Option<u32>) {
    tracing::warn!(service = name, "keeper ended before its service");
    if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

async fn write_line<T: serde::Serialize>(stdin: &mut Option<ChildStdin>, value: &T) {
    let Some(pipe) = stdin else { return };
    let line = serde_json::to_string(value).expect("plain data") + "\n";
    if pipe.write_all(line.as_bytes()).await.is_err() {
        // The keeper is ending; its report says how.
        *stdin = None;
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn log(name: &str, pieces: &mut Vec<Piece>) {
    for piece in pieces.drain(..) {
        match piece {
            Piece::Line(line) => match strip::strip(&line) {
                (Some(Level::ERROR), line) => tracing::error!(target: SERVICE, service = name, "{line}"),
                (Some(Level::WARN), line) => tracing::warn!(target: SERVICE, service = name, "{line}"),
                (Some(Level::DEBUG | Level::TRACE), line) => tracing::debug!(target: SERVICE, service = name, "{line}"),
                (_, line) => tracing::info!(target: SERVICE, service = name, "{line}"),
            },
            Piece::Dropped(lines) => tracing::warn!(target: SERVICE, service = name, lines, "output over the bound"),
        }
    }
}
