//! Values of single settings.

use super::*;

#[test]
fn the_cost_of_a_password_hash_stays_within_bounds() {
    let cost = config(&[("ARGON2", "p=4, t=3, m=65536")]).argon2;
    assert_eq!(cost, Argon2Cost { memory_kib: 65_536, passes: 3, lanes: 4 });
    refuses("ARGON2", &["m=19456", "m=19456,t=2", "m=7167,t=2,p=1", "m=262145,t=2,p=1", "m=19456,t=0,p=1"]);
    refuses("ARGON2", &["m=19456,t=2,p=17", "m=19456,t=2,p=1,x=1", "m=19456,t=2,t=2", "19456,2,1"]);
}

#[test]
fn the_number_of_workers_is_bounded() {
    accepts("WORKERS", &["1", "1024"]);
    refuses("WORKERS", &["0", "1025", "many"]);
}

#[test]
fn a_log_filter_is_a_level_or_names_levels_for_modules() {
    accepts("LOG", &["off", "DEBUG", "info,keyturn=debug", "keyturn::sessions=trace,warn"]);
    refuses("LOG", &["inof", "keyturn", "keyturn=loud", "info,verbose"]);
}
