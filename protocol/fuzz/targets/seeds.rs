//! Writes the committed corpus anew, before libFuzzer has tried anything: linked like the targets, whose
//! instrumented code it shares.

#![no_main]

use std::path::Path;

fn write() -> std::io::Result<()> {
    for (target, name, bytes) in fenbu_fuzz::seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(
    init: std::process::exit(i32::from(write().is_err())),
    |_data: &[u8]| {}
);
