//! Times of the sections of a graph, forward, backward and in the optimiser, measured inside a training step.
//!
//! Whoever builds a graph names its sections by [`section`]; nothing is measured, and nothing is added to the graph,
//! unless [`record`] runs on the same thread. While it does, every section lies between two operators that copy their
//! argument and read the clock. Candle walks a graph backward in the opposite order of its making, so the gradients of a
//! section are computed between the two moments at which the gradient passes them.
//!
//! What the figures hold beyond a section's own work: backward, one more pass over its output, which candle makes for the
//! operator at its end. Copies lie outside of the times. A step that is recorded is therefore slower than one that is
//! not: time steps without recording, and take only their division from the recorded ones.

use crate::fast_path::values;
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use std::cell::RefCell;
use std::fmt::Arguments;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a section took, summed over all its uses while it was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SectionTime {
    /// Its name.
    pub name: String,
    /// Time of its operators.
    pub forward: Duration,
    /// Time of their gradients; zero where no backward pass went through it.
    pub backward: Duration,
    /// Time of the optimiser's updates of parameters whose names begin with the section's.
    pub update: Duration,
}

#[derive(Default)]
struct Recorder {
    /// Tells the boundaries of this recorder's graphs from those of others.
    id: u64,
    sections: Vec<SectionTime>,
    /// The section whose gradients are being computed, and since when.
    open: Option<(usize, Instant)>,
}

impl Recorder {
    fn index(&mut self, name: Arguments) -> usize {
        let name = name.to_string();
        self.sections.iter().position(|section| section.name == name).unwrap_or_else(|| {
            self.sections.push(SectionTime { name, ..SectionTime::default() });
            self.sections.len() - 1
        })
    }

    fn close(&mut self, now: Instant) {
        if let Some((section, since)) = self.open.take() {
            self.sections[section].backward += now - since;
        }
    }
}

static N_RECORDERS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Runs `f` and gives the times of the sections that it passed, in the order in which they were first met.
///
/// `f` has to hold whole steps, and to say [`end_backward`] after a backward pass unless it ends there: a section that
/// begins with what needs no gradient ends with the backward pass, or where the next section begins.
pub fn record<R>(f: impl FnOnce() -> R) -> (R, Vec<SectionTime>) {
    let id = N_RECORDERS.fetch_add(1, Ordering::Relaxed);
    let before = RECORDER.replace(Some(Recorder { id, ..Recorder::default() }));
    let result = f();
    let now = Instant::now();
    let mut recorder = RECORDER.replace(before).unwrap_or_default();
    recorder.close(now);
    (result, recorder.sections)
}

/// Ends the section whose gradients were computed last.
pub fn end_backward() {
    let now = Instant::now();
    with_recorder(|recorder| recorder.close(now));
}

/// The section that parameters are charged to after which no section is named.
const OTHER_PARAMETERS: &str = "other parameters";

/// Runs the update of a parameter, and charges it to the section after which the parameter is named.
pub(crate) fn update<R>(parameter: &str, run: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = run();
    let took = started.elapsed();
    with_recorder(|recorder| {
        let owns = |section: &SectionTime| {
            parameter.strip_prefix(section.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let owner = recorder.sections.iter().position(owns);
        let owner = owner.unwrap_or_else(|| recorder.index(format_args!("{OTHER_PARAMETERS}")));
        recorder.sections[owner].update += took;
    });
    result
}

fn with_recorder(work: impl FnOnce(&mut Recorder)) {
    RECORDER.with_borrow_mut(|recorder| {
        if let Some(recorder) = recorder {
            work(recorder);
        }
    });
}

/// Runs `forward` on `x` as a section of that name. Sections do not lie inside each other.
///
/// # Errors
/// Those of `forward`.
pub fn section<E: From<Error>>(
    name: Arguments,
    x: &Tensor,
    forward: impl FnOnce(&Tensor) -> std::result::Result<Tensor, E>,
) -> std::result::Result<Tensor, E> {
    section_of(name, std::slice::from_ref(x), |inputs| forward(&inputs[0]))
}

/// As [`section`], on several tensors.
///
/// # Errors
/// Those of `forward`.
pub fn section_of<E: From<Error>>(
    name: Arguments,
    inputs: &[Tensor],
    forward: impl FnOnce(&[Tensor]) -> std::result::Result<Tensor, E>,
) -> std::result::Result<Tensor, E> {
    let recorded =
        RECORDER.with_borrow_mut(|recorder| recorder.as_mut().map(|recorder| (recorder.id, recorder.index(name))));
    let Some((recorder, section)) = recorded else { return forward(inputs) };
    let start = |x: &Tensor| boundary(x, Boundary { recorder, section, is_end: false });
    let inputs = inputs.iter().map(start).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let y = forward(&inputs)?;
    let took = started.elapsed();
    with_recorder(|recorder| recorder.sections[section].forward += took);
    Ok(boundary(&y, Boundary { recorder, section, is_end: true })?)
}

/// `x` behind an operator that notices when its gradient passes; `x` itself where no gradient will.
fn boundary(x: &Tensor, boundary: Boundary) -> Result<Tensor> {
    if !x.track_op() || !x.device().is_cpu() || x.dtype() != DType::F32 {
        return Ok(x.clone());
    }
    Ok(x.contiguous()?.apply_op1(boundary)?)
}

struct Boundary {
    /// Whose section it is: a graph may outlive the recording that it was made in.
    recorder: u64,
    section: usize,
    /// Whether it stands after the section; a gradient meets that one first.
    is_end: bool,
}

impl CustomOp1 for Boundary {
    fn name(&self) -> &'static str {
        "section boundary"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(values(storage, layout)?.to_vec()), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let now = Instant::now();
        with_recorder(|recorder| {
            if recorder.id != self.recorder {
                return;
            }
            recorder.close(now);
            recorder.open = self.is_end.then_some((self.section, now));
        });
        Ok(Some(grad.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    /// Far longer than anything else here takes, also on a busy machine.
    const PAUSE: Duration = Duration::from_millis(100);

    /// An operator that takes at least [`PAUSE`] in either direction.
    struct Slow;

    impl CustomOp1 for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
            std::thread::sleep(PAUSE);
            Ok((CpuStorage::F32(values(storage, layout)?.to_vec()), layout.shape().clone()))
        }

        fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
            std::thread::sleep(2 * PAUSE);
            Ok(Some(grad.clone()))
        }
    }

    /// first(x) → second → third, of which the second is slow; between them, outside of any section, something slow.
    fn graph(x: &Tensor) -> Result<Tensor> {
        let twice = |x: &Tensor| -> Result<Tensor> { Ok((x * 2.0)?) };
        let x = section(format_args!("first"), x, twice)?;
        let x = section(format_args!("{}", "second"), &x, |x| -> Result<Tensor> { Ok(x.apply_op1(Slow)?) })?;
        section(format_args!("third"), &x.apply_op1(Slow)?, twice)
    }

    #[test]
    fn a_section_is_charged_with_its_own_time_in_both_directions() -> Outcome {
        let x = Var::new(&[1f32, -2.0], &Device::Cpu)?;
        let (gradient, times) = record(|| -> Result<_> {
            let gradients = graph(x.as_tensor())?.sum_all()?.backward()?;
            Ok(gradients.get(x.as_tensor()).cloned())
        });
        assert_eq!(gradient?.ok_or("no gradient")?.to_vec1::<f32>()?, [4.0, 4.0]);
        let names: Vec<&str> = times.iter().map(|time| time.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "third"]);
        assert!(times[1].forward >= PAUSE && times[1].backward >= 2 * PAUSE, "{times:?}");
        // What lies between two sections is charged to neither.
        assert!(times[0].backward < PAUSE && times[2].backward < PAUSE, "{times:?}");
        assert!(times.iter().all(|time| time.backward > Duration::ZERO), "{times:?}");
        Ok(())
    }

    #[test]
    fn a_section_that_starts_from_what_needs_no_gradient_ends_with_the_backward_pass() -> Outcome {
        let (x, w) = (Tensor::new(&[1f32, -2.0], &Device::Cpu)?, Var::new(&[3f32, 5.0], &Device::Cpu)?);
        let (outcome, times) = record(|| -> Result<()> {
            let y =
                section(format_args!("only"), &x, |x| -> Result<Tensor> { Ok((x * w.as_tensor().apply_op1(Slow)?)?) })?;
            y.sum_all()?.backward()?;
            Ok(())
        });
        outcome?;
        assert!(times.len() == 1 && times[0].backward >= 2 * PAUSE, "{times:?}");
        Ok(())
    }

    #[test]
    fn an_update_is_charged_to_the_section_of_that_name() -> Outcome {
        let x = Var::new(&[1f32, -2.0], &Device::Cpu)?;
        let (outcome, times) = record(|| -> Result<()> {
            graph(x.as_tensor())?.sum_all()?.backward()?;
            end_backward();
            for parameter in ["second.weight", "second.prelu.slope", "secondary.weight", "other"] {
                update(parameter, || std::thread::sleep(PAUSE));
            }
            Ok(())
        });
        outcome?;
        assert!(times[1].update >= 2 * PAUSE && times[0].update.is_zero() && times[2].update.is_zero(), "{times:?}");
        assert!(times[3].name == OTHER_PARAMETERS && times[3].update >= 2 * PAUSE, "{times:?}");
        // The first section begins with a variable, so its gradient's end is seen, and the updates are not counted.
        assert!(times[0].backward < PAUSE, "{times:?}");
        Ok(())
    }

    #[test]
    fn a_graph_of_another_recording_is_charged_to_nobody() -> Outcome {
        let x = Var::new(&[1f32, -2.0], &Device::Cpu)?;
        let (earlier, _) = record(|| graph(x.as_tensor()));
        let earlier = earlier?.sum_all()?;
        let (gradients, times) = record(|| earlier.backward());
        assert!(gradients?.get(x.as_tensor()).is_some() && times.is_empty(), "{times:?}");
        Ok(())
    }

    #[test]
    fn nothing_is_added_when_nothing_records() -> Outcome {
        let x = Var::new(&[1f32, -2.0], &Device::Cpu)?;
        let plain = graph(x.as_tensor())?;
        let (recorded, times) = record(|| graph(x.as_tensor()));
        let recorded = recorded?;
        assert_eq!(plain.to_vec1::<f32>()?, recorded.to_vec1::<f32>()?);
        assert!(times.iter().all(|time| time.backward.is_zero()));
        // Two boundaries for each of the three sections.
        assert_eq!(recorded.sorted_nodes().len(), plain.sorted_nodes().len() + 6);
        assert_eq!(graph(x.as_tensor())?.sorted_nodes().len(), plain.sorted_nodes().len());
        Ok(())
    }
}
