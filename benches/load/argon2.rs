//! What the cores reach that do nothing but hash passwords: the upper bound of logins.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::Result;
use crate::report::{Round, percentile};

/// The default cost of keyturn: memory in KiB, passes, lanes.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// One for each core.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Hashes on all threads for `length`, each in its own memory.
pub fn hash_for(length: Duration) -> Result<Round> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)?;
    let end = Instant::now() + length;
    let hash = || {
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut blocks = vec![Block::default(); params.block_count()];
        let mut micros = Vec::new();
        let mut output = [0; 32];
        while Instant::now() < end {
            let begun = Instant::now();
            hasher.hash_password_into_with_memory(b"anvil thimble", b"a salt of 16 byt", &mut output, &mut blocks)?;
            micros.push(u32::try_from(begun.elapsed().as_micros())?);
        }
        Result::Ok(micros)
    };
    let micros = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads()).map(|_| scope.spawn(hash)).collect();
        running.into_iter().map(|thread| thread.join().expect("does not panic")).collect::<Result<Vec<_>>>()
    })?;
    let mut micros = micros.concat();
    micros.sort_unstable();
    Ok(Round {
        rate: micros.len() as f64 / length.as_secs_f64(),
        p50: percentile(&micros, 50),
        p99: percentile(&micros, 99),
        server_cpu: None,
        client_cpu: None,
    })
}
