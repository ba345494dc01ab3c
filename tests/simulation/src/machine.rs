//! The clocks and the randomness of a simulated machine.
//!
//! The operator and its libraries read clocks and draw random numbers as any program does. In a thread that called
//! [`Machine::start`] the C library's functions for both, which Rust's standard library and every crate end up in, answer
//! from the simulation instead: the monotonic clock follows tokio's paused one, the clock on the wall can be set, and random
//! bytes come from the seed. So what is simulated is the program as it ships, not one with clocks handed in. All other
//! threads are left alone.
//!
//! Linux only: elsewhere the C library keeps its functions, and what needs a simulated machine is left out.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports, clippy::unused_self))]
#![allow(unsafe_code, reason = "functions of the C library are defined here, for threads that ask for it")]
#![allow(clippy::cast_possible_truncation, reason = "the C library's results are as wide as its functions say")]

use std::cell::Cell;

use libc::{c_int, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use tokio::time::Instant;

/// What the monotonic clock says at the start, in nanoseconds.
const STARTED: u64 = 1_000_000_000_000;
/// What the clock on the wall says at the start, in nanoseconds since 1970.
const WALL: i64 = 1_800_000_000_000_000_000;

#[derive(Clone, Copy)]
struct State {
    /// Where tokio's clock began; before that time stands still.
    began: Option<Instant>,
    /// How far the clock on the wall was set, in nanoseconds.
    set: i64,
    /// Of the generator of random bytes.
    random: u64,
}

thread_local! {
    static STATE: Cell<Option<State>> = const { Cell::new(None) };
    /// tokio is being asked.
    static ASKING: Cell<bool> = const { Cell::new(false) };
    static PASSED: Cell<u64> = const { Cell::new(0) };
}

/// The simulated machine of this thread, until it is dropped.
pub struct Machine(());

impl Machine {
    /// From now on this thread's clocks stand still, and its randomness is this seed's.
    pub fn start(seed: u64) -> Self {
        PASSED.set(0);
        STATE.set(Some(State { began: None, set: 0, random: seed }));
        Self(())
    }

    /// From now on its clocks follow tokio's, which has to be paused. To be called inside the runtime.
    pub fn follow_tokio(&self) {
        let began = Instant::now();
        change(|state| state.began = Some(began));
    }

    /// Sets the clock on the wall forward, or back.
    pub fn set_clock(&self, seconds: i64) {
        change(|state| state.set += seconds * 1_000_000_000);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        STATE.set(None);
    }
}

fn change(change: impl FnOnce(&mut State)) {
    if let Some(mut state) = STATE.get() {
        change(&mut state);
        STATE.set(Some(state));
    }
}

/// Nanoseconds since the start, by tokio's clock. tokio itself asks the system only while its clock is not paused.
fn passed() -> u64 {
    let began = STATE.try_with(Cell::get).ok().flatten().and_then(|state| state.began);
    if let Some(began) = began
        && !ASKING.replace(true)
    {
        let passed = Instant::now().saturating_duration_since(began);
        PASSED.set(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
        ASKING.set(false);
    }
    PASSED.get()
}

/// # Safety
/// As the system's: `time` points to a `timespec`.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let Some(state) = STATE.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the arguments are handed on as they came.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as c_int;
    };
    let passed = passed();
    let wall = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
    let nanos = if wall { WALL + state.set + passed.cast_signed() } else { (STARTED + passed).cast_signed() };
    // SAFETY: the caller hands a pointer to a timespec.
    unsafe {
        (*time).tv_sec = nanos.div_euclid(1_000_000_000);
        (*time).tv_nsec = nanos.rem_euclid(1_000_000_000);
    }
    0
}

/// # Safety
/// As the system's: `buffer` has room for `length` bytes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let Some(mut state) = STATE.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the arguments are handed on as they came.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as ssize_t;
    };
    // SAFETY: the caller hands a pointer to so many bytes, and nobody else writes there meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        let word = splitmix(&mut state.random).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    STATE.set(Some(state));
    length.cast_signed()
}

/// The generator of Steele, Lea and Flood ("Fast splittable pseudorandom number generators", 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "these tests are about the clock itself")]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn drawn(seed: u64) -> (u64, u64, Vec<u32>, Duration, Duration) {
        std::thread::spawn(move || {
            let machine = Machine::start(seed);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                machine.follow_tokio();
                let (began, wall) = (std::time::Instant::now(), SystemTime::now());
                tokio::time::sleep(Duration::from_hours(1)).await;
                machine.set_clock(-60);
                let order: Vec<u32> = (0..50).collect::<HashSet<u32>>().into_iter().collect();
                let set = SystemTime::now().duration_since(wall).unwrap();
                (rand::random::<u64>(), rand::random::<u64>(), order, began.elapsed(), set)
            })
        })
        .join()
        .unwrap()
    }

    #[test]
    fn time_is_simulated_and_chance_is_the_seed_s() {
        let one = drawn(1);
        assert_eq!((one.3, one.4), (Duration::from_hours(1), Duration::from_mins(59)));
        assert_ne!(one.0, one.1);
        assert_eq!(one, drawn(1), "the same seed, the same random numbers and the same order of a HashMap");
        let two = drawn(2);
        assert!(one.0 != two.0 && one.2 != two.2);
    }

    #[test]
    fn other_threads_have_the_system_s() {
        let _machine = Machine::start(1);
        let simulated = SystemTime::UNIX_EPOCH + Duration::from_nanos(WALL as u64);
        assert_eq!(SystemTime::now(), simulated);
        let elsewhere = std::thread::spawn(SystemTime::now).join().unwrap();
        assert_ne!(elsewhere, simulated);
    }
}
