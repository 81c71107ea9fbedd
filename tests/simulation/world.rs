//! A simulated machine: tasks, a clock and chance, all decided by one seed.
//!
//! Crates take this file into their unit tests by `#[path]`: what it drives is private to them. Of the tasks that could go
//! on, chance picks one; when none can, the clock jumps to the next timer. Tasks belong to a process, which can be killed
//! at any point where it waits, or frozen and thawed. Nothing here sleeps, and nothing depends on the real clock.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::luck::lock;

/// Tasks of one process end and rest together.
pub(crate) type Process = u64;
/// The process of what is never killed: servers, and the test itself.
pub(crate) const OUTSIDE: Process = 0;

/// More turns, and the simulation goes round in circles.
const TURNS_MAX: u64 = 1_000_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle to the world. Cheap to clone.
#[derive(Clone)]
pub(crate) struct World {
    shared: Arc<Mutex<State>>,
    /// What the simulated clock begins at.
    begin: Instant,
}

struct State {
    now: Duration,
    rng: StdRng,
    ready: Vec<u64>,
    spawned: Vec<(u64, Process, Task)>,
    killed: Vec<Process>,
    frozen: HashMap<Process, Duration>,
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

struct Ready {
    task: u64,
    shared: Arc<Mutex<State>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let mut state = lock(&self.shared);
        if !state.ready.contains(&self.task) {
            state.ready.push(self.task);
        }
    }
}

impl World {
    /// The world of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            ready: Vec::new(),
            spawned: Vec::new(),
            killed: Vec::new(),
            frozen: HashMap::new(),
            timers: BTreeMap::new(),
            next: 1,
        };
        Self { shared: Arc::new(Mutex::new(state)), begin: Instant::now() }
    }

    /// Time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        lock(&self.shared).now
    }

    /// The simulated clock.
    pub(crate) fn now(&self) -> Instant {
        self.begin + self.elapsed()
    }

    /// A number below another one.
    pub(crate) fn below(&self, end: u64) -> u64 {
        lock(&self.shared).rng.random_range(0..end.max(1))
    }

    /// True once in so many times.
    pub(crate) fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Waits for simulated time to pass.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { world: self.clone(), until: self.elapsed() + duration, timer: None }
    }

    /// Waits as long as a network or a disk might: mostly not at all, at times for a while.
    pub(crate) async fn lag(&self) {
        let most = match self.below(8) {
            0..=3 => return self.sleep(Duration::ZERO).await,
            4..=6 => 3_000,
            _ => 60_000,
        };
        self.sleep(Duration::from_micros(self.below(most))).await;
    }

    /// Begins a task of a process.
    pub(crate) fn spawn(&self, process: Process, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = lock(&self.shared);
        let id = state.next;
        state.next += 1;
        state.spawned.push((id, process, Box::pin(task)));
        state.ready.push(id);
    }

    /// Ends a process where it stands.
    pub(crate) fn kill(&self, process: Process) {
        lock(&self.shared).killed.push(process);
    }

    /// Stops a process for a while, as SIGSTOP does.
    pub(crate) fn freeze(&self, process: Process, duration: Duration) {
        let mut state = lock(&self.shared);
        let until = state.now + duration;
        state.frozen.insert(process, until);
    }

    /// Runs everything until this is done.
    ///
    /// # Panics
    /// It never will be: nothing can go on any more, or it goes on for ever.
    pub(crate) fn block_on<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let done = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&done);
        self.spawn(OUTSIDE, async move {
            let value = work.await;
            *lock(&slot) = Some(value);
        });
        let mut tasks: BTreeMap<u64, (Process, Task)> = BTreeMap::new();
        for _ in 0..TURNS_MAX {
            self.turn(&mut tasks);
            if let Some(value) = lock(&done).take() {
                // Tasks hold the world, and the world would hold them.
                self.end(tasks);
                return value;
            }
        }
        panic!("the simulation does not come to an end, at {:?}", self.elapsed());
    }

    fn end(&self, tasks: BTreeMap<u64, (Process, Task)>) {
        drop(tasks);
        let (spawned, timers) = {
            let mut state = lock(&self.shared);
            (std::mem::take(&mut state.spawned), std::mem::take(&mut state.timers))
        };
        drop((spawned, timers));
    }

    /// One task goes on, or the clock does.
    fn turn(&self, tasks: &mut BTreeMap<u64, (Process, Task)>) {
        let (spawned, killed) = {
            let mut state = lock(&self.shared);
            (std::mem::take(&mut state.spawned), std::mem::take(&mut state.killed))
        };
        tasks.extend(spawned.into_iter().map(|(id, process, task)| (id, (process, task))));
        if !killed.is_empty() {
            // Dropped without the lock: what they hold may wake others.
            drop(tasks.extract_if(.., |_, (process, _)| killed.contains(process)).collect::<Vec<_>>());
        }
        let Some(id) = self.pick(tasks) else {
            let fired = {
                let mut state = lock(&self.shared);
                let Some(((at, _), waker)) = state.timers.pop_first() else {
                    let now = state.now;
                    drop(state);
                    panic!("nothing can go on any more, at {now:?}");
                };
                state.now = state.now.max(at);
                waker
            };
            fired.wake();
            return;
        };
        let Some((process, mut task)) = tasks.remove(&id) else { return };
        let waker = Waker::from(Arc::new(Ready { task: id, shared: Arc::clone(&self.shared) }));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            tasks.insert(id, (process, task));
        }
    }

    /// One of those that can go on.
    fn pick(&self, tasks: &BTreeMap<u64, (Process, Task)>) -> Option<u64> {
        let mut state = lock(&self.shared);
        let State { ready, rng, frozen, now, timers, next, .. } = &mut *state;
        ready.retain(|id| tasks.contains_key(id));
        frozen.retain(|_, until| *until > *now);
        let rests = |id: &u64| tasks.get(id).and_then(|(process, _)| frozen.get(process)).copied();
        let awake: Vec<usize> = (0..ready.len()).filter(|at| rests(&ready[*at]).is_none()).collect();
        if awake.is_empty() {
            // Whoever is ready and frozen goes on when it thaws.
            if let Some(thaw) = ready.iter().filter_map(rests).min() {
                *next += 1;
                timers.insert((thaw, *next), Waker::noop().clone());
            }
            return None;
        }
        let at = awake[rng.random_range(0..awake.len())];
        Some(ready.swap_remove(at))
    }
}

/// A wait for simulated time.
pub(crate) struct Sleep {
    world: World,
    until: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let mut state = lock(&world.shared);
        if let Some(timer) = self.timer.take() {
            state.timers.remove(&timer);
            if state.now >= self.until {
                return Poll::Ready(());
            }
        }
        // At least one turn goes to others, even without time passing.
        let timer = (self.until, state.next);
        state.next += 1;
        state.timers.insert(timer, context.waker().clone());
        drop(state);
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            lock(&self.world.shared).timers.remove(&timer);
        }
    }
}
