//! One connection of an edge: bytes both ways, late, lost, held back, or cut off.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until};

use super::wire::Appends;
use super::{RETRANSMITTED_AFTER, Shared, Trap, Weather};

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks on their way; more wait in the sender's socket.
const UNDER_WAY_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Carries until one side closes, or a trap springs.
pub(super) async fn carry(client: TcpStream, server: TcpStream, shared: &Shared, number: u64) {
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Set while an append was sent whose answer is to be cut off.
    let answer_due = AtomicBool::new(false);
    let pump = |way| Pump { shared, way, answer_due: &answer_due, appends: Appends::new() };
    let seed = shared.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    tokio::select! {
        () = pump(Way::Up).run(from_client, to_server, StdRng::seed_from_u64(seed)) => {}
        () = pump(Way::Down).run(from_server, to_client, StdRng::seed_from_u64(!seed)) => {}
    }
}

struct Pump<'a> {
    shared: &'a Shared,
    way: Way,
    answer_due: &'a AtomicBool,
    appends: Appends,
}

/// How much of a chunk may pass; less than all of it ends the connection.
struct Pass {
    bytes: usize,
    cut: bool,
}

impl Pump<'_> {
    async fn run(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut luck: StdRng) {
        let mut weather = self.shared.weather.subscribe();
        let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut open = true;
        loop {
            let frozen = self.frozen(*weather.borrow_and_update());
            // The end of a connection does not get through either while nothing does.
            if !open && under_way.is_empty() && !frozen {
                return;
            }
            let due = under_way.front().map(|(due, _)| *due);
            tokio::select! {
                biased;
                changed = weather.changed() => if changed.is_err() { return },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !frozen => {
                    let Some((_, chunk)) = under_way.pop_front() else { continue };
                    let pass = self.pass(&chunk);
                    if to.write_all(&chunk[..pass.bytes]).await.is_err() || pass.cut {
                        return;
                    }
                }
                read = from.read(&mut buffer), if open && under_way.len() < UNDER_WAY_MAX => match read {
                    Ok(0) => open = false,
                    Ok(count) => {
                        let due = Instant::now() + self.late(*weather.borrow(), &mut luck);
                        under_way.push_back((due, buffer[..count].to_vec()));
                    }
                    Err(_) => return,
                },
            }
        }
    }

    fn frozen(&self, weather: Weather) -> bool {
        if self.way == Way::Up { weather.frozen_up } else { weather.frozen_down }
    }

    fn late(&self, weather: Weather, luck: &mut StdRng) -> std::time::Duration {
        let lost = weather.loss_percent > 0 && luck.random_range(0..100) < weather.loss_percent;
        if lost { weather.delay + RETRANSMITTED_AFTER } else { weather.delay }
    }

    /// What the trap lets through.
    fn pass(&mut self, chunk: &[u8]) -> Pass {
        let all = Pass { bytes: chunk.len(), cut: false };
        let appends = self.way == Way::Up && self.appends.sent_with(chunk);
        self.shared.statements.fetch_add(self.appends.executed(), Ordering::Relaxed);
        let mut trap = self.shared.trap.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = match (trap.as_mut(), self.way) {
            (Some(Trap::BytesUp(left)), Way::Up) | (Some(Trap::BytesDown(left)), Way::Down) => {
                if *left >= chunk.len() {
                    *left -= chunk.len();
                    return all;
                }
                Pass { bytes: *left, cut: true }
            }
            (Some(Trap::AppendSent), Way::Up) if appends => Pass { cut: true, ..all },
            (Some(Trap::AppendAnswered), Way::Up) if appends => {
                self.answer_due.store(true, Ordering::SeqCst);
                return all;
            }
            (Some(Trap::AppendAnswered), Way::Down) if self.answer_due.load(Ordering::SeqCst) => {
                Pass { bytes: 0, cut: true }
            }
            _ => return all,
        };
        *trap = None;
        self.shared.sprung.send_modify(|sprung| *sprung += 1);
        pass
    }
}
