//! A running node: everything is started in an order in which each part finds what it needs, and
//! stopped in the reverse, so that what was accepted is on disk before the process ends.

use crate::accounts::{Accounts, Desk, DeskError};
use crate::admission::Admission;
use crate::changes::{Changes, Lives};
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::{Driver, DriverStatus, Question};
use crate::floor::Floor;
use crate::folder::{Folder, FolderError, Lock};
use crate::freshness::Heard;
use crate::materialiser::{Materialiser, Progress, Wake};
use crate::rebuild::Rebuilder;
use crate::records::Records;
use crate::scrub::{Scrub, ScrubSettings, Scrubber};
use crate::search::Search;
use crate::setup::stored_directory;
use crate::shared::{DirectoryView, DocumentLocks, Keys, Readers, Shared, lock};
use crate::states;
use crate::store::{FORK_SETTING, Loaded, SqliteStore, Store, StoreError};
use crate::transport::{Endpoint, TransportError, advertised};
use crate::writer::{Command, Writer};
use fenbu_protocol::directory::Signed;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::sync::{Engine, Input, PaceSettings, Settings, StoredLog};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Continuity(#[from] crate::continuity::ContinuityError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("the node's directory cannot be used: {0}")]
    Directory(String),
    #[error("this folder's key is not a node of its federation; join again in a new folder")]
    NotAMember,
    #[error("the damaged database cannot be made anew: {0}")]
    Salvage(crate::salvage::SalvageError),
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

impl StartError {
    /// Whether the database itself is what keeps the node from starting.
    fn is_damage(&self) -> bool {
        use crate::continuity::ContinuityError;
        let (Self::Store(error) | Self::Continuity(ContinuityError::Store(error))) = self else {
            return matches!(self, Self::Directory(_));
        };
        matches!(error, StoreError::Corrupted { .. })
    }
}

/// A node that runs. Dropping it stops nothing cleanly: call [`Daemon::stop`].
#[derive(Debug)]
pub struct Daemon {
    pub records: Records,
    pub admission: Admission,
    pub accounts: Accounts,
    /// Where the console is, or why there is none.
    pub console: OnceLock<Result<Option<String>, String>>,
    pub endpoint: Endpoint,
    pub config: Config,
    pub progress: Arc<Progress>,
    pub scrub: Scrub,
    questions: mpsc::UnboundedSender<Question>,
    stop: watch::Sender<bool>,
    wake: std_mpsc::Sender<Wake>,
    running: Mutex<Option<Running>>,
    _lock: Lock,
}

/// What is waited for when the node stops.
#[derive(Debug)]
struct Running {
    driver: tokio::task::JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts a node. Must be called within a tokio runtime.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let folder = Folder::open(&config.dir)?;
        let held = folder.lock()?;
        crate::salvage::finish(&folder)?;
        let key = folder.node_key()?;
        let me = NodeId(key.verifying_key().to_bytes());
        let mut store: Box<dyn Store> =
            Box::new(SqliteStore::open(folder.database(), &crate::views::specs())?);
        let loaded = store.load()?;
        let mut directory = stored_directory(&loaded.statements).map_err(StartError::Directory)?;
        if let Some(other) = loaded.settings.get(FORK_SETTING) {
            let other = Signed::from_wire(other).map_err(|e| {
                StartError::Directory(format!("a directory statement cannot be read: {e}"))
            })?;
            directory.stop_again(other);
        }
        if directory.node(&me).is_none() {
            return Err(StartError::NotAMember);
        }
        let endpoint = Endpoint::bind(config.listen, &key, &config.transport)?;
        let (_, mark) = crate::continuity::resume(&folder, store.as_mut(), &loaded, &me)?;

        let (directory_sender, directory_view) = watch::channel(Arc::new(directory.clone()));
        let readers = Readers::new(store.reader()?, config.store.readers.max(2))?;
        let clock = Clock::start();
        let keys = Keys::default();
        keys.learn(&directory, &me, &key);
        let (search, indexer) = match Search::open(folder.path()) {
            Ok((search, seed)) => (search, Some(seed)),
            Err(error) => {
                // Records are written and read without it.
                tracing::error!(%error, "nothing can be searched for");
                (Search::default(), None)
            }
        };
        let changes = Changes::of(Lives::begin(store.as_mut(), &loaded, random())?);
        let shared = Shared {
            me,
            key,
            clock,
            directory: DirectoryView::new(directory_view),
            keys,
            readers: Arc::new(readers),
            documents: Arc::new(DocumentLocks::default()),
            authors: Arc::default(),
            ledger: Arc::default(),
            turns: Arc::default(),
            search,
            changes,
            tasks_changed: Arc::default(),
        };
        let indexer = indexer.map(|seed| seed.with(shared.clone()));
        let (urgent, inputs) = mpsc::unbounded_channel();
        let reader = store.reader()?;
        let (scrub, orders) = Scrub::new();
        let (mut writer, handle) = Writer::new(
            store,
            shared.clone(),
            &loaded,
            reader.as_ref(),
            urgent.clone(),
            scrub.clone(),
        )?;
        writer.notes_in(mark);
        writer.keeps(Floor::new(folder.database(), config.store.free_bytes_min));
        let heard = Heard::stored(reader.as_ref())?;
        let (wake, woken) = std_mpsc::channel();
        let settled = Mutex::new(states::remembered(&loaded.settings));
        let progress = Arc::new(Progress { settled, ..Progress::default() });
        let stale = loaded.views_stale;
        let rebuilder = Rebuilder::new(shared.clone(), handle.clone(), progress.clone());
        let materialiser = Materialiser::new(
            shared.clone(),
            handle.clone(),
            rebuilder.clone(),
            woken,
            progress.clone(),
            scrub.clone(),
            stale,
        );
        let scrubber = Scrubber {
            shared: shared.clone(),
            writer: handle.clone(),
            rebuilder: rebuilder.clone(),
            scrub: scrub.clone(),
            settings: ScrubSettings {
                bytes_per_s: config.store.scrub_bytes_per_s,
                every: Duration::from_secs(config.store.scrub_every_s),
            },
            engine: urgent.clone(),
            wake: wake.clone(),
            orders,
        };
        let mut threads = vec![
            thread("fenbu-writer", move || writer.run())?,
            thread("fenbu-views", move || materialiser.run())?,
            thread("fenbu-scrub", move || scrubber.run())?,
        ];
        if let Some(indexer) = indexer {
            threads.push(thread(SEARCH_THREAD, move || indexer.run())?);
        }

        let mut engine = engine(&config, me, directory, &loaded, clock);
        let states = states::read(&shared, &progress)?;
        engine.handle(clock.now_ms(), Input::States { states });
        let (joins, knocks) = mpsc::unbounded_channel();
        let (questions, asked) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let pace_settings = PaceSettings {
            bytes_per_s: config.transport.peer_bytes_per_s,
            work_per_s: config.transport.peer_work_per_s,
        };
        let driver = Driver::new(
            engine,
            endpoint.clone(),
            shared.clone(),
            handle.clone(),
            wake.clone(),
            rebuilder.clone(),
            progress.clone(),
            scrub.clone(),
            directory_sender,
            urgent,
            joins,
            pace_settings,
            heard,
        );
        let driver = tokio::spawn(driver.run(inputs, asked, stopped));
        let addresses = advertised(&config, endpoint.local_addr());
        let admission = Admission::new(shared.clone(), handle.clone(), addresses);
        tokio::spawn(answer_knocks(admission.clone(), knocks));
        tokio::spawn(hand_out_keys(admission.clone()));
        let records = Records { shared, writer: handle, rebuilder };
        tokio::spawn(crate::reports::keep_marks(records.clone(), stop.subscribe()));
        let accounts_directory = records.shared.directory.clone();
        let accounts = Accounts::new(records.clone(), Desk::open(folder.path())?);
        tokio::spawn(share_credentials(accounts.clone(), accounts_directory, stop.subscribe()));
        let (keeper, kept) = (admission.clone(), progress.clone());
        tokio::spawn(crate::temporary::keep(records.clone(), keeper, kept, stop.subscribe()));
        Ok(Self {
            records,
            admission,
            accounts,
            console: OnceLock::new(),
            endpoint,
            config,
            progress,
            scrub,
            questions,
            stop,
            wake,
            running: Mutex::new(Some(Running { driver, threads })),
            _lock: held,
        })
    }

    pub fn me(&self) -> NodeId {
        self.records.shared.me
    }

    /// Becomes true when the node stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Where this node listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Where things stand; `None` once the node is stopping.
    pub async fn status(&self) -> Option<DriverStatus> {
        let (reply, answer) = oneshot::channel();
        self.questions.send(Question::Status(reply)).ok()?;
        answer.await.ok()
    }

    /// Stops links first, then what makes documents, then the writer, and waits for each.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let Some(Running { driver, threads }) = lock(&self.running).take() else { return };
        // A driver that panicked has been reported; the rest is stopped all the same.
        let _ = driver.await;
        self.records.rebuilder.stop();
        let _ = self.wake.send(Wake::Stop);
        self.scrub.stop();
        let _ = self.records.writer.send(Command::Stop);
        let search = self.records.shared.search.clone();
        let joined = tokio::task::spawn_blocking(move || {
            let (kept, index): (Vec<_>, Vec<_>) =
                threads.into_iter().partition(|t| t.thread().name() != Some(SEARCH_THREAD));
            kept.into_iter().for_each(|thread| drop(thread.join()));
            // Last, so that it takes up what the others wrote.
            search.stop();
            index.into_iter().for_each(|thread| drop(thread.join()));
        });
        let _ = joined.await;
    }
}

const SEARCH_THREAD: &str = "fenbu-search";

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)
}

fn engine(
    config: &Config,
    me: NodeId,
    directory: fenbu_protocol::directory::Directory,
    loaded: &Loaded,
    clock: Clock,
) -> Engine {
    let settings = Settings {
        redial_min_ms: config.transport.redial_min_ms,
        redial_max_ms: config.transport.redial_max_ms,
        ..Settings::default()
    };
    let logs = loaded.logs.iter().map(|l| StoredLog {
        log: l.log,
        space: l.opening.space,
        author: l.opening.node,
        tip: l.tip,
        fork: loaded.forks.get(&l.log).cloned(),
    });
    Engine::new(
        clock.now_ms(),
        u64::from_le_bytes(random()),
        me,
        settings,
        directory,
        logs,
        loaded.acknowledgements.iter().copied(),
    )
}

fn random() -> [u8; 8] {
    let mut bytes = [0; 8];
    // INVARIANT: the key that names this node was made with the same randomness.
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// A join is answered by itself; a slow one holds up nobody.
async fn answer_knocks(
    admission: Admission,
    mut knocks: mpsc::UnboundedReceiver<crate::transport::JoinConnection>,
) {
    while let Some(knock) = knocks.recv().await {
        let admission = admission.clone();
        tokio::spawn(async move { admission.answer(knock).await });
    }
}

/// Says what is due about keys whenever the directory has changed, if this node is the one to say it:
/// what a statement made elsewhere, or an earlier admin node, left to be done.
async fn hand_out_keys(admission: Admission) {
    let mut directory = admission.directory();
    loop {
        if let Err(error) = admission.hand_out_keys().await {
            tracing::error!(%error, "space keys that are due could not be handed out");
        }
        if !directory.changes().await {
            return;
        }
    }
}

/// Gives nodes of this unit that came later their copies of its people's passwords.
async fn share_credentials(
    accounts: Accounts,
    mut directory: DirectoryView,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let shared = accounts.clone();
        let outcome = tokio::task::spawn_blocking(move || shared.share_credentials()).await;
        match outcome {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(given)) => tracing::info!(given, "passwords are shared with this unit's nodes"),
            Ok(Err(error)) => tracing::warn!(%error, "passwords cannot be shared yet"),
        }
        let wait = tokio::time::sleep(CREDENTIALS_EVERY);
        tokio::select! {
            () = wait => {}
            // A node of the unit may have come.
            going_on = directory.changes() => if !going_on { return },
            // An error means that the daemon is gone.
            _ = stop.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// How often it is looked whether a node of the unit lacks a password.
const CREDENTIALS_EVERY: Duration = Duration::from_secs(20);

/// Why `fenbu node run` ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Socket(#[from] crate::api::SocketError),
    #[error("the tokio runtime could not start: {0}")]
    Runtime(std::io::Error),
    #[error("signals cannot be heard: {0}")]
    Signals(std::io::Error),
}

/// Runs a node in the foreground until TERM or INT, then stops it in order.
pub fn run(config: Config) -> Result<(), RunError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?
        .block_on(run_until_signal(config))
}

async fn run_until_signal(config: Config) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut int = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let mut hup = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
    let mut damaged = false;
    loop {
        let serving = Serving::start(&config, damaged)?;
        // Not under systemd: nobody to tell.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        damaged = loop {
            tokio::select! {
                _ = term.recv() => break false,
                _ = int.recv() => break false,
                _ = hup.recv() => check_settings(&config),
                () = serving.daemon.scrub.damaged() => break true,
            }
        };
        if !damaged {
            tracing::info!("stopping");
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        }
        serving.stop().await;
        if !damaged {
            return Ok(());
        }
    }
}

/// A node that runs, and its control socket.
struct Serving {
    daemon: Arc<Daemon>,
    socket: std::path::PathBuf,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// Starts it, with a database that was made anew where the old one is damaged.
    fn start(config: &Config, damaged: bool) -> Result<Self, RunError> {
        let daemon = Arc::new(match damaged {
            false => start_or_salvage(config)?,
            true => make_anew(config, None)?,
        });
        let socket = config.api.socket.clone();
        let listener = crate::api::bind(&socket)?;
        let (stop, stopped) = watch::channel(false);
        let console = console(config, &daemon);
        let served = tokio::spawn(serve(listener, console, daemon.clone(), stopped));
        tracing::info!(
            node = %daemon.me().short(),
            listen = %daemon.local_addr(),
            socket = %socket.display(),
            "running"
        );
        Ok(Self { daemon, socket, stop, served })
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        // Requests under way get a moment; what they wrote is on disk or was not answered.
        let patience = Duration::from_secs(5);
        let abort = self.served.abort_handle();
        if tokio::time::timeout(patience, self.served).await.is_err() {
            abort.abort();
        }
        self.daemon.stop().await;
        // A stale socket would only be replaced at the next start; removing it is a courtesy.
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// The control socket and the console, until both have ended.
async fn serve(
    listener: tokio::net::UnixListener,
    console: Option<crate::console::Console>,
    daemon: Arc<Daemon>,
    stopped: watch::Receiver<bool>,
) {
    let socket = crate::api::serve(listener, daemon.clone(), stopped.clone());
    let pages = async move {
        if let Some(console) = console {
            crate::console::serve(console, daemon, stopped).await;
        }
    };
    tokio::join!(socket, pages);
}

/// The console's listener. That there is none keeps nobody from syncing.
fn console(config: &Config, daemon: &Daemon) -> Option<crate::console::Console> {
    let bound = crate::console::bind(&config.console, daemon.local_addr());
    let told = match &bound {
        Ok(console) => Ok(console.as_ref().map(crate::console::Console::url)),
        Err(error) => {
            tracing::error!(%error, "there is no console");
            Err(error.to_string())
        }
    };
    // Set once: this daemon is served once.
    let _ = daemon.console.set(told);
    bound.ok().flatten()
}

fn start_or_salvage(config: &Config) -> Result<Daemon, RunError> {
    match Daemon::start(config.clone()) {
        Err(error) if error.is_damage() => make_anew(config, Some(error)),
        started => Ok(started?),
    }
}

/// Makes the database anew and starts. `why` is what is told if that cannot be done.
fn make_anew(config: &Config, why: Option<StartError>) -> Result<Daemon, RunError> {
    let folder = Folder::open(&config.dir).map_err(StartError::from)?;
    // Whoever holds the daemon that was stopped lets go of it in a moment.
    let until = std::time::Instant::now() + Duration::from_secs(10);
    let held = loop {
        match folder.lock() {
            Err(FolderError::Running(_)) if std::time::Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            held => break held.map_err(StartError::from)?,
        }
    };
    crate::salvage::salvage(&folder).map_err(|error| {
        tracing::error!(%error, "the damaged database cannot be made anew");
        why.unwrap_or(StartError::Salvage(error))
    })?;
    drop(held);
    let daemon = Daemon::start(config.clone())?;
    // What could not be brought over is missing in the middle of logs.
    daemon.scrub.look();
    Ok(daemon)
}

/// On HUP: says whether the settings file is still right, and what a restart would change. No
/// setting of this version can change under a running node.
fn check_settings(running: &Config) {
    match Config::load(&running.dir, |name| std::env::var(name).ok()) {
        Err(error) => tracing::error!(%error, "the settings file would not be accepted"),
        Ok(found) => {
            let before = running.origins();
            let changed: Vec<_> = found
                .origins()
                .into_iter()
                .filter(|new| before.iter().all(|old| (old.0, &old.1) != (new.0, &new.1)))
                .map(|(key, value, _)| format!("{key} = {value}"))
                .collect();
            if changed.is_empty() {
                tracing::info!("the settings have not changed");
            } else {
                tracing::warn!(changed = changed.join(", "), "restart the node to apply");
            }
        }
    }
}
