//! One run of a service, as the daemon sees it: starts the keeper, hands on orders, logs the output, and tells in
//! events how it goes. Whatever happens, exactly one of `Exited` and `SpawnFailed` ends it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use archive::folder::Folder;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Level;

use super::cgroup::{Group, Tree};
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
            Err(error) => Event::SpawnFailed { service, run, error },
        };
        // Closed only when the daemon ends.
        let _ = events.send(event).await;
    });
    Handle { orders }
}

async fn run_to_end(
    mut job: Job,
    mut orders: mpsc::Receiver<Order>,
    events: &Sender,
) -> Result<(Exit, Option<String>), String> {
    let bound = job.tree.as_ref().filter(|_| job.limits.is_some());
    let group = bound
        .map(|tree| tree.group(&job.launch.name, job.run.0, job.limits))
        .transpose()?;
    job.launch.entrance = group.as_ref().map(Group::entrance);
    prepare(&job.launch).await?;
    let mut keeper = spawn_keeper(&job.launch)?;
    let mut stdin = keeper.stdin.take();
    let mut reports = BufReader::new(keeper.stdout.take().ok_or("no pipe from the keeper")?).lines();
    let mut output = keeper.stderr.take().ok_or("no pipe from the service")?;
    write_line(&mut stdin, &job.launch).await;

    let begun = Instant::now();
    let mut lines = Lines::new(job.output);
    let mut pieces = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut pid = None;
    let mut end = None;
    let mut output_open = true;
    let mut drain_until = None;
    loop {
        tokio::select! {
            line = reports.next_line(), if drain_until.is_none() => {
                match line.ok().flatten().and_then(|line| serde_json::from_str(&line).ok()) {
                    Some(Report::Started(started)) => {
                        pid = Some(started);
                        let _ = events.send(Event::Spawned { service: job.service, run: job.run, pid: started }).await;
                    }
                    Some(Report::Failed(error)) => {
                        let _ = keeper.wait().await;
                        return Err(error);
                    }
                    Some(Report::Ended(how)) => {
                        end = Some(how);
                        drain_until = Some(Instant::now() + DRAIN);
                    }
                    None => drain_until = Some(Instant::now() + DRAIN),
                }
            }
            read = output.read(&mut buffer), if output_open => {
                match read {
                    Ok(count) if count > 0 => lines.push(&buffer[..count], begun.elapsed(), &mut pieces),
                    _ => output_open = false,
                }
                log(&job.launch.name, &mut pieces);
            }
            order = orders.recv(), if stdin.is_some() => match order {
                Some(order) => write_line(&mut stdin, &order).await,
                None => stdin = None,
            },
            () = sleep_until(drain_until), if drain_until.is_some() => break,
        }
        if drain_until.is_some() && !output_open {
            break;
        }
    }
    if end.is_none() {
        abandon(&job.launch.name, pid);
    }
    let _ = keeper.wait().await;
    lines.finish(begun.elapsed(), &mut pieces);
    log(&job.launch.name, &mut pieces);
    let exit = match end {
        Some(End::Code(code)) => Exit::Code(code),
        Some(End::Signal(signal)) => Exit::Signal(signal),
        None => Exit::Unknown,
    };
    let last_line = lines.last().map(|line| strip::strip(&line).1.to_owned());
    let verdict = group.as_ref().and_then(Group::verdict);
    Ok((exit, verdict.or(last_line)))
}

fn spawn_keeper(launch: &Launch) -> Result<Child, String> {
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
        .map_err(|error| format!("cannot start a keeper: {error}"))
}

/// The service's directories; not on this thread, for the disk that they are on may be stuck.
async fn prepare(launch: &Launch) -> Result<(), String> {
    let (directories, user) = (launch.owned.clone(), launch.user.clone());
    let made = tokio::task::spawn_blocking(move || {
        directories.iter().try_for_each(|directory| {
            give(directory, user.as_deref()).map_err(|error| format!("cannot make {}: {error}", directory.display()))
        })
    });
    made.await
        .unwrap_or_else(|error| Err(format!("cannot make its directories: {error}")))
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
