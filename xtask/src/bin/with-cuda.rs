//! `cargo xtask-cuda …`: builds the program with CUDA, runs it, and says what to do where it cannot start.
//!
//! candle links CUDA's libraries when the program loads, so where one is missing the program ends before its first line
//! and only the system's loader speaks. This launcher links none of them.

use std::path::Path;
use std::process::{Command, ExitCode};

/// What a loader exits with that does not find a library.
const NOT_LOADED: i32 = 127;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    // Ctrl-C reaches the program as well, which saves before it ends; the launcher waits for it.
    ctrlc::set_handler(|| {}).map_err(|e| format!("Ctrl-C cannot be handled ({e}); run the same command again"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(&cargo)
        .args(["build", "--quiet", "--package", "xtask", "--bin", "xtask", "--features", "cuda"])
        .status()
        .map_err(|e| format!("{} cannot be started ({e}); run `cargo xtask-cuda`", Path::new(&cargo).display()))?;
    if !built.success() {
        return Err("the program does not build with CUDA (see above); it needs the CUDA toolkit, with nvcc on the PATH or CUDA_HOME set; or use `cargo xtask` with --device cpu".to_owned());
    }
    let launcher = std::env::current_exe().map_err(|e| format!("the program's folder is unknown ({e})"))?;
    let program = launcher.with_file_name(format!("xtask{}", std::env::consts::EXE_SUFFIX));
    let status = Command::new(&program)
        .args(std::env::args_os().skip(1))
        .status()
        .map_err(|e| format!("{} cannot be started ({e}); run the same command again", program.display()))?;
    match status.code() {
        Some(NOT_LOADED) => Err("a CUDA library is missing (see above): libcuda comes with the NVIDIA driver, the others with the CUDA toolkit, whose lib folder belongs on LD_LIBRARY_PATH; or use `cargo xtask` with --device cpu".to_owned()),
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => Ok(ExitCode::FAILURE),
    }
}
