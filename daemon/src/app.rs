//! From the command line to a running daemon and back: read the settings, claim the state directory, start the parts,
//! run until told to stop.
//!
//! Settings are read and checked before anything is touched. The parts that face people (LEDs, button, page) live on
//! threads of their own; whatever they do, the supervisor's runtime is only this thread's.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use board_configs::ButtonDriver;
use nix::fcntl::{Flock, FlockArg};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::backup::{self, Vault};
use crate::clock::{self, Clock};
use crate::config::{Config, EXIT_CONFIG, Power};
use crate::control;
use crate::event::{self, Ending, Event, Sender};
use crate::hardware::{self, Hand};
use crate::health::{node, system};
use crate::indicator::{self, Indicator, Sources};
use crate::log::{self, Logbook};
use crate::notify;
use crate::page;
use crate::process::{cgroup, power};
use crate::reset;
use crate::runner::{self, Runner};
use crate::snapshot::{BoxState, Snapshot};
use crate::supervisor::State;

/// Pruning, sampling and little else block.
const MAX_BLOCKING_THREADS: usize = 4;
/// How long another daemon may take to let go of the state directory.
const CLAIM_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Parser)]
#[command(
    name = "pillarboxd",
    version,
    about = "Runs a Pillarbox: its services, retention, LEDs, button and page"
)]
pub struct Arguments {
    /// The settings (TOML); its keys are described in docs/operator.md.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only read and check the settings and the service files.
    #[arg(long)]
    pub check: bool,
}

pub fn main(arguments: &Arguments) -> ExitCode {
    let config = match Config::read(&arguments.config) {
        Ok(config) => config,
        Err(mistake) => {
            eprintln!("pillarboxd: {mistake}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if arguments.check {
        return ExitCode::SUCCESS;
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pillarboxd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> anyhow::Result<()> {
    let log = log::start();
    let _claim = claim(&config.state_dir)?;
    backup::files::forget_staged(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .context("cannot start the runtime")?;
    let ending = runtime.block_on(serve(&config, log))?;
    // A pruning run on a stuck disk is not waited for.
    runtime.shutdown_background();
    end(&config, ending)
}

/// What is left to do when all services have ended.
fn end(config: &Config, ending: Option<Ending>) -> anyhow::Result<()> {
    if ending == Some(Ending::FactoryReset) {
        let reset = reset::set_aside(&config.services.enabled, &clock::stamp()).context("factory reset")?;
        clock::forget(&config.state_dir).context("factory reset: the saved time")?;
        reset::leave_word(&config.state_dir, &reset).context("factory reset")?;
        tracing::info!(?reset, "factory reset");
    }
    if ending == Some(Ending::Restore) {
        let replaced = backup::files::commit(config, &clock::stamp()).context("restore")?;
        tracing::info!(?replaced, "restored");
    }
    let Some(ending) = ending else { return Ok(()) };
    match (ending, config.power) {
        (Ending::PowerOff, Power::None) => Ok(()),
        (Ending::Reboot | Ending::FactoryReset | Ending::Restore, Power::None) => Err(power::start_again()),
        (Ending::Reboot | Ending::FactoryReset | Ending::Restore, Power::Systemctl) => power::systemctl("reboot"),
        (Ending::PowerOff, Power::Systemctl) => power::systemctl("poweroff"),
    }
}

async fn serve(config: &Config, log: Logbook) -> anyhow::Result<Option<Ending>> {
    let (events, inbox) = event::channel();
    let mut clock = Clock::new(config);
    let mut state = State::new(config, clock.floor_ns(), rand::random());
    state.set_lost(reset::take_word(&config.state_dir));
    state.resume_traffic(&runner::saved_traffic(&config.state_dir));
    let (snapshots, seen) = watch::channel(Arc::new(state.snapshot(clock.now())));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        board = config.board.name,
        "starting"
    );
    for disabled in &config.services.disabled {
        if let Some(mistake) = &disabled.mistake {
            tracing::warn!(service = disabled.name, %mistake, "service is off");
        }
    }
    tokio::spawn(pass_on_signals(config.file.clone(), events.clone())?);
    let (root, state_dir) = (config.health.root.clone(), config.state_dir.clone());
    tokio::spawn(system::watch(root, state_dir, events.clone()));
    tokio::spawn(clock.asker().run(config.time_servers.clone()));
    let _lights = start_lights(config, &events, seen.clone())?;
    let vault = Vault::new(config.file.clone());
    let options = page::Options {
        listen: config.page.listen,
        names: config.page.names.clone(),
        any_peer: config.page.any_peer,
        unix_time: clock::unix_time,
        log: log.clone(),
        switches: config.power != Power::None,
        token_file: config.page.token_file.clone(),
        vault: vault.clone(),
    };
    let desk = control::Desk {
        snapshots: seen.clone(),
        events: events.clone(),
        log,
        button: simulated_button(config),
        switches: config.power != Power::None,
        vault,
    };
    tokio::spawn(control::serve(config.control.clone(), desk, events.clone()));
    notify::start(config.notify.clone(), seen.clone(), clock::unix_time).context("cannot start notifications")?;
    let page_at = page::start(options, seen.clone(), events.clone()).context("cannot start the page")?;
    tokio::spawn(announce(page_at, seen));
    let tree = cgroup::Tree::claim(Path::new("/"));
    let runner = Runner::new(state, clock, inbox, events.clone(), snapshots).limited(tree);
    tokio::spawn(node::watch(runner.nodes(), events));
    let ending = runner.run().await;
    tracing::info!(?ending, "stopped");
    Ok(ending)
}

/// The board's LEDs and its button, each on threads of their own. What cannot be had is reported and asked for again.
fn start_lights(
    config: &Config,
    events: &Sender,
    snapshots: watch::Receiver<Arc<Snapshot>>,
) -> anyhow::Result<Indicator> {
    let dir = simulated_dir(config);
    let hand = match &config.board.button {
        Some(button) => hardware::watch_button(button, &dir, events.clone()).context("cannot watch the button")?,
        None => watch::channel(Hand::default()).1,
    };
    let sources = Sources {
        snapshots,
        hand,
        address: indicator::last_number,
    };
    indicator::start(&config.board, &dir, sources, events.clone()).context("cannot start the lights")
}

fn simulated_dir(config: &Config) -> PathBuf {
    config.state_dir.join("simulated")
}

/// Where the simulated button's FIFO is, on a board that has one.
fn simulated_button(config: &Config) -> Option<PathBuf> {
    let button = config.board.button.as_ref()?;
    matches!(button.driver, ButtonDriver::Simulated).then(|| simulated_dir(config).join("button"))
}

/// One daemon a state directory: two would prune and run everything twice.
fn claim(state_dir: &Path) -> anyhow::Result<Flock<std::fs::File>> {
    std::fs::create_dir_all(state_dir).with_context(|| format!("cannot make {}", state_dir.display()))?;
    let path = state_dir.join("lock");
    let file = std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    // A daemon that was killed a moment ago may still be letting go.
    let give_up = Instant::now() + CLAIM_WITHIN;
    let mut file = file;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(claim) => return Ok(claim),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) if Instant::now() < give_up => {
                file = back;
                std::thread::sleep(Duration::from_millis(50));
            }
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                bail!("{} is in use by another pillarboxd; stop it first", state_dir.display())
            }
            Err((_, error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}

/// SIGTERM and SIGINT stop; a second one stops at once. SIGHUP reads the settings again.
fn pass_on_signals(file: PathBuf, events: Sender) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot watch SIGHUP")?;
    Ok(async move {
        loop {
            let event = tokio::select! {
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                _ = hangup.recv() => {
                    let file = file.clone();
                    // The disk that they are on may be slow.
                    match tokio::task::spawn_blocking(move || Config::read(&file)).await {
                        Ok(read) => Event::Reread(Box::new(read)),
                        Err(_) => continue,
                    }
                }
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    })
}

/// Tells, once the mailserver first answers, where the page is and which address a client wants.
async fn announce(page_at: watch::Receiver<Option<SocketAddr>>, mut seen: watch::Receiver<Arc<Snapshot>>) {
    let ready = seen
        .wait_for(|snapshot| !snapshot.mailserver.multiaddrs.is_empty() && snapshot.state != BoxState::Starting)
        .await
        .map(|snapshot| snapshot.mailserver.multiaddrs.clone());
    let Ok(multiaddrs) = ready else { return };
    let page = match *page_at.borrow() {
        Some(address) => format!("http://{address}/"),
        None => "waiting for its port".to_owned(),
    };
    let mut text = format!("Pillarbox is running.\n  page: {page}\n");
    for address in multiaddrs {
        text.push_str(&format!("  address for clients: {address}\n"));
    }
    // Nobody may be reading; that is no reason to stop.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
