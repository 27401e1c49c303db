//! `--device cpu` and `--device cuda[:N]`.

use candle_core::Device;

use crate::{Error, Result};

/// The device that a word stands for.
///
/// # Errors
/// When the word is unknown, the program was built without the cargo feature `cuda`, or the machine has no such device.
pub fn parse(word: &str) -> Result<Device> {
    let wrong = |problem: String| Error::Device { device: word.to_owned(), problem };
    match word.split_once(':').unwrap_or((word, "0")) {
        ("cpu", "0") if word == "cpu" => Ok(Device::Cpu),
        ("cuda", ordinal) => {
            let ordinal: usize = ordinal
                .parse()
                .map_err(|_| wrong("expected cuda or cuda:N with N a number, for example cuda:0".to_owned()))?;
            cuda(ordinal).map_err(wrong)
        }
        _ => Err(wrong("expected cpu, cuda or cuda:N".to_owned())),
    }
}

/// The device's kind, as configurations name it.
pub fn kind(device: &Device) -> &'static str {
    if device.is_cuda() { "cuda" } else { "cpu" }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_ordinal: usize) -> std::result::Result<Device, String> {
    Err("this program was built without CUDA; build it with `cargo xtask-cuda …` (feature cuda; see README, GPU), or use --device cpu".to_owned())
}

#[cfg(feature = "cuda")]
fn cuda(ordinal: usize) -> std::result::Result<Device, String> {
    // candle panics where the driver's library is missing, so it is looked for first.
    let driver = ["libcuda.so.1", "libcuda.so", "nvcuda.dll"].iter().any(|name| {
        // SAFETY: loading the driver's library runs its initialisers, which is what any CUDA program does at start.
        unsafe { libloading::Library::new(name) }.is_ok()
    });
    if !driver {
        return Err("no NVIDIA driver found (libcuda); install the driver, or use --device cpu".to_owned());
    }
    Device::new_cuda(ordinal).map_err(|e| {
        format!(
            "cannot be opened ({}); `nvidia-smi` lists what there is, or use --device cpu",
            e.to_string().lines().next().unwrap_or("")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_device_say_what_is() {
        assert!(parse("cpu").is_ok());
        for word in ["gpu", "cpu:1", "cuda:x", ""] {
            assert!(parse(word).is_err_and(|e| e.to_string().contains("expected")), "{word}");
        }
    }
}
