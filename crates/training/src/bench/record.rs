//! The figures of a timed network: as text, as JSON, and in a table that keeps the last ones of every network.

use std::fmt::Write;
use std::path::Path;

use multigen_measure::{Commit, Machine, ResultsDir, atomic_write, rfc3339_utc};
use serde::{Deserialize, Serialize};

use super::step::{Details, LayerTime, Measurement, median};
use crate::provenance::{self, locked_version};
use crate::{Error, Result};

const MIB: f64 = 1024.0 * 1024.0;

/// The figures of one network. Times are milliseconds per step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The network.
    pub net: String,
    /// Images per step.
    pub batch: usize,
    /// Threads of both sides.
    pub threads: usize,
    /// Ours: the median over measurements of their median step, those beside PyTorch where there are some.
    pub ours_ms: f64,
    /// Ours: the fastest step of all.
    pub ours_best_ms: f64,
    /// The same of PyTorch, when it was compared.
    pub pytorch_ms: Option<f64>,
    /// ours / PyTorch, the median over pairs.
    pub ratio: Option<f64>,
    /// PyTorch, pair by pair.
    pub pytorch: Option<Rivalry>,
    /// PyTorch with a tuned allocator, pair by pair.
    pub pytorch_tuned: Option<Rivalry>,
    /// Stock candle, pair by pair.
    pub candle: Option<Rivalry>,
    /// GFLOP per step; none where no image has a count of its own.
    pub gflop: Option<f64>,
    /// GFLOP per second of a matrix product of 2048³ on the same threads.
    pub roof_gflop_per_s: f64,
    /// Gigabytes per second, read and written, of y ← y + a·x on large vectors, on the same threads.
    pub memory_gb_per_s: f64,
    /// Parameters that learn.
    pub n_parameters: usize,
    /// What the process held in memory when the network was built, and the most that it held.
    pub memory_mib: Option<[f64; 2]>,
    /// Adam's part of a step.
    pub update_ms: f64,
    /// A step in which the layers were timed.
    pub recorded_step_ms: f64,
    /// In the order of the forward pass.
    pub layers: Vec<LayerRecord>,
    /// Where the figures come from.
    #[serde(flatten)]
    pub surroundings: Surroundings,
}

/// A layer's part of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Times.
    #[serde(flatten)]
    pub time: LayerTime,
    /// GFLOP of both directions; none where the layer has no count.
    pub gflop: Option<f64>,
}

/// One rival, pair by pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rivalry {
    /// The median step of each measurement.
    pub ms: Vec<f64>,
    /// The fastest step of all.
    pub best_ms: f64,
    /// ours / theirs, median by median.
    pub ratios: Vec<f64>,
    /// What their last process held in memory when the network was built, and the most that it held.
    pub memory_mib: Option<[f64; 2]>,
    /// Date, commit, processor and versions.
    pub measured: String,
}

/// Where figures come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The exact command.
    pub command: String,
    /// The commit; none outside a repository.
    pub commit: Option<Commit>,
    /// RFC 3339, UTC.
    pub date: String,
    /// The processor.
    pub cpu: String,
    /// Version of candle.
    pub candle_version: Option<String>,
    /// Version of gemm.
    pub gemm_version: Option<String>,
    /// Version of PyTorch, when it was compared.
    pub torch_version: Option<String>,
}

impl Surroundings {
    /// Of the checkout at `root`, here and now.
    pub fn detect(root: &Path, command: &str, torch_version: Option<String>) -> Self {
        Self {
            command: command.to_owned(),
            commit: provenance::commit(root),
            date: rfc3339_utc(std::time::SystemTime::now()),
            cpu: Machine::detect().cpu,
            candle_version: locked_version(root, "candle-core"),
            gemm_version: locked_version(root, "gemm"),
            torch_version,
        }
    }

    /// Date, commit, processor and versions in one line.
    pub(super) fn text(&self) -> String {
        let Self { commit, date, cpu, candle_version, gemm_version, torch_version, .. } = self;
        let commit = commit.as_ref().map_or("no repository".to_owned(), |commit| {
            format!("commit {}{}", commit.hash, if commit.dirty { " with changes" } else { "" })
        });
        let mut text = format!("{date}, {commit}, {cpu}");
        for (name, version) in [("candle", candle_version), ("gemm", gemm_version), ("PyTorch", torch_version)] {
            if let Some(version) = version {
                let _ = write!(text, ", {name} {version}");
            }
        }
        text
    }
}

impl Rivalry {
    pub(super) fn add(&mut self, ours: &Measurement, theirs: &Measurement) {
        let best = fastest(std::slice::from_ref(theirs));
        self.best_ms = if self.ms.is_empty() { best } else { self.best_ms.min(best) };
        let median_ms = median(theirs.step_ms.clone());
        self.ratios.push(median(ours.step_ms.clone()) / median_ms);
        self.ms.push(median_ms);
        self.memory_mib = memory_mib(theirs);
    }

    /// Our time in those pairs, the median.
    fn ours_ms(&self) -> f64 {
        median(self.ms.iter().zip(&self.ratios).map(|(ms, ratio)| ms * ratio).collect())
    }

    /// ours / theirs, the median over pairs.
    pub fn ratio(&self) -> f64 {
        median(self.ratios.clone())
    }

    fn range(&self) -> String {
        let least = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.ratios.iter().copied().fold(0.0, f64::max);
        format!("{:.2} ({least:.2} to {most:.2})", self.ratio())
    }
}

/// Before the steps, and at most.
fn memory_mib(measurement: &Measurement) -> Option<[f64; 2]> {
    let bytes = [measurement.memory_before_bytes?, measurement.peak_memory_bytes?];
    Some(bytes.map(|bytes| bytes as f64 / MIB))
}

fn fastest(measurements: &[Measurement]) -> f64 {
    measurements.iter().flat_map(|measurement| &measurement.step_ms).copied().fold(f64::INFINITY, f64::min)
}

impl Record {
    pub(super) fn new(
        net: &str,
        batch: usize,
        mut measurement: Measurement,
        layer_gflop: Option<Vec<(String, f64)>>,
        surroundings: Surroundings,
    ) -> Self {
        let Details { layers, recorded_step_ms, roof_gflop_per_s, memory_gb_per_s, n_parameters } =
            measurement.details.take().unwrap_or_default();
        let gflop_of = |name: &str| layer_gflop.as_ref()?.iter().find(|(layer, _)| layer == name).map(|(_, n)| *n);
        let layers =
            layers.into_iter().map(|time| LayerRecord { gflop: gflop_of(&time.name), time }).collect::<Vec<_>>();
        let mut record = Self {
            net: net.to_owned(),
            batch,
            threads: measurement.threads,
            ours_ms: 0.0,
            ours_best_ms: 0.0,
            pytorch_ms: None,
            ratio: None,
            pytorch: None,
            pytorch_tuned: None,
            candle: None,
            gflop: layer_gflop.map(|layers| layers.iter().map(|(_, n)| n).sum()),
            roof_gflop_per_s,
            memory_gb_per_s,
            n_parameters,
            memory_mib: memory_mib(&measurement),
            update_ms: measurement.update_ms,
            recorded_step_ms,
            layers,
            surroundings,
        };
        record.set_pairs(&[measurement]);
        record
    }

    /// Takes our times from these measurements.
    pub(super) fn set_pairs(&mut self, ours: &[Measurement]) {
        self.ours_ms = median(ours.iter().map(|measurement| median(measurement.step_ms.clone())).collect());
        self.ours_best_ms = fastest(ours);
    }

    /// With the headline's figures taken from the pairs with PyTorch, where there are some: ours and theirs are then of the
    /// same minutes, and belong to the ratio.
    fn with_headline(mut self) -> Self {
        if let Some(pytorch) = &self.pytorch {
            self.ours_ms = pytorch.ours_ms();
        }
        self.pytorch_ms = self.pytorch.as_ref().map(|rivalry| median(rivalry.ms.clone()));
        self.ratio = self.pytorch.as_ref().map(Rivalry::ratio);
        self
    }

    fn gflop_per_s(&self) -> Option<f64> {
        Some(self.gflop? / self.ours_ms * 1e3)
    }

    /// Gigabytes per second that Adam reads and writes: weight, gradient and two moments are read, all but the gradient
    /// written, of four bytes each.
    fn adam_gb_per_s(&self) -> f64 {
        7.0 * 4.0 * self.n_parameters as f64 / self.update_ms / 1e6
    }

    /// For the terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}, batch {}: {:.1} ms a step (best {:.1})",
            self.net, self.batch, self.ours_ms, self.ours_best_ms
        );
        for (name, rivalry) in self.rivalries() {
            let _ = write!(text, "\n  ratio to {name}: {}", rivalry.range());
        }
        if let (Some(gflop), Some(rate)) = (self.gflop, self.gflop_per_s()) {
            let (roof, share) = (self.roof_gflop_per_s, 100.0 * rate / self.roof_gflop_per_s);
            let _ = write!(text, "\n  {gflop:.1} GFLOP, {rate:.0} GFLOP/s, {share:.0} % of the product's {roof:.0}");
        }
        if let Some([before, peak]) = self.memory_mib {
            let _ = write!(text, "\n  memory {peak:.0} MiB at most, {before:.0} when the network was built");
        }
        let _ = write!(text, "\n  {:<16} {:>9} {:>9} {:>9}", "layer, ms", "forward", "backward", "update");
        for LayerRecord { time, .. } in &self.layers {
            let LayerTime { name, forward_ms, backward_ms, update_ms } = time;
            let _ = write!(text, "\n  {name:<16} {forward_ms:9.2} {backward_ms:9.2} {update_ms:9.2}");
        }
        let _ = write!(text, "\n  {}", self.adam_text());
        text
    }

    fn adam_text(&self) -> String {
        format!(
            "Adam: {:.1} ms, {:.1} million parameters, {:.0} GB/s, {:.0} % of {:.0} of y ← y + a·x",
            self.update_ms,
            self.n_parameters as f64 / 1e6,
            self.adam_gb_per_s(),
            100.0 * self.adam_gb_per_s() / self.memory_gb_per_s,
            self.memory_gb_per_s
        )
    }

    fn rivalries(&self) -> impl Iterator<Item = (&'static str, &Rivalry)> {
        let rivals = [
            ("PyTorch", &self.pytorch),
            ("PyTorch with a tuned allocator", &self.pytorch_tuned),
            ("stock candle", &self.candle),
        ];
        rivals.into_iter().filter_map(|(name, rivalry)| Some((name, rivalry.as_ref()?)))
    }
}

/// Writes figures as a JSON list.
pub(super) fn write_json(path: &Path, records: &[Record]) -> Result<()> {
    let records: Vec<Record> = records.iter().cloned().map(Record::with_headline).collect();
    let json = serde_json::to_string_pretty(&records).map_err(|error| Error::file(path, error))?;
    Ok(atomic_write(path, format!("{json}\n").as_bytes())?)
}

/// The figures that are kept; none yet where there is no file.
pub(super) fn kept(results: &ResultsDir) -> Result<Vec<Record>> {
    let path = results.bench_json();
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Error::file(&path, format!("holds no figures of ours ({error}); delete it to go on"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file(&path, error)),
    }
}

/// Puts the figures of one network in the place of its earlier ones, and draws the table anew.
pub(super) fn keep(results: &ResultsDir, record: &Record) -> Result<()> {
    let mut records = kept(results)?;
    let same = |other: &Record| other.net == record.net && other.batch == record.batch;
    match records.iter().position(same) {
        Some(place) => {
            // A comparison that was not made this time keeps its figures, which say themselves when they were measured.
            let earlier = std::mem::replace(&mut records[place], record.clone());
            let kept = &mut records[place];
            kept.pytorch = kept.pytorch.take().or(earlier.pytorch);
            kept.pytorch_tuned = kept.pytorch_tuned.take().or(earlier.pytorch_tuned);
            kept.candle = kept.candle.take().or(earlier.candle);
        }
        None => records.push(record.clone()),
    }
    let records: Vec<Record> = records.into_iter().map(Record::with_headline).collect();
    write_json(&results.bench_json(), &records)?;
    Ok(atomic_write(&results.bench(), markdown(&records).as_bytes())?)
}

fn markdown(records: &[Record]) -> String {
    let mut text = String::from(
        "# Time of a training step\n\n\
         Made by `cargo xtask bench`, which keeps the last figures of every network here. A step is forward, loss,\n\
         backward and Adam; the ratio is ours / theirs, the median over pairs of fresh processes, with the range.\n\
         GFLOP are those of direct convolution; the roof is a matrix product of 2048³ on the same threads.\n\n\
         | network, batch | ours, ms (best) | PyTorch, ms | ratio | tuned allocator: ratio | stock candle: ratio \
         | GFLOP | GFLOP/s | of the roof | MiB at most (over the built network): ours | PyTorch's |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let none = || "–".to_owned();
    let ratio = |rivalry: &Option<Rivalry>| rivalry.as_ref().map_or_else(none, Rivalry::range);
    let mib = |memory: Option<[f64; 2]>| {
        memory.map_or_else(none, |[before, peak]| format!("{peak:.0} ({:.0})", peak - before))
    };
    for record in records {
        let theirs = record.pytorch.as_ref();
        let _ = writeln!(
            text,
            "| {}, {} | {:.0} ({:.0}) | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            record.net,
            record.batch,
            record.ours_ms,
            record.ours_best_ms,
            theirs.map_or_else(none, |theirs| format!("{:.0}", median(theirs.ms.clone()))),
            ratio(&record.pytorch),
            ratio(&record.pytorch_tuned),
            ratio(&record.candle),
            record.gflop.map_or_else(none, |gflop| format!("{gflop:.1}")),
            record.gflop_per_s().map_or_else(none, |rate| format!("{rate:.0}")),
            record.gflop_per_s().map_or_else(none, |rate| format!(
                "{:.0} % of {:.0}",
                100.0 * rate / record.roof_gflop_per_s,
                record.roof_gflop_per_s
            )),
            mib(record.memory_mib),
            mib(theirs.and_then(|theirs| theirs.memory_mib)),
        );
    }
    for record in records {
        text.push_str(&layers_markdown(record));
    }
    text
}

fn layers_markdown(record: &Record) -> String {
    let mut text = format!(
        "\n## {}, batch {}\n\n`{}`  \n{}, {} threads",
        record.net,
        record.batch,
        record.surroundings.command,
        record.surroundings.text(),
        record.threads
    );
    text.push_str(
        "\n\n| layer | forward, ms | backward, ms | update, ms | GFLOP | of the roof |\n|---|---|---|---|---|---|\n",
    );
    for LayerRecord { time, gflop } in &record.layers {
        let LayerTime { name, forward_ms, backward_ms, update_ms } = time;
        let rate = gflop.map(|gflop| gflop / (forward_ms + backward_ms) * 1e3);
        let _ = writeln!(
            text,
            "| {name} | {forward_ms:.2} | {backward_ms:.2} | {update_ms:.2} | {} | {} |",
            gflop.map_or("–".to_owned(), |gflop| format!("{gflop:.2}")),
            rate.map_or("–".to_owned(), |rate| format!("{:.0} %", 100.0 * rate / record.roof_gflop_per_s)),
        );
    }
    let sum = |of: fn(&LayerTime) -> f64| record.layers.iter().map(|layer| of(&layer.time)).sum::<f64>();
    let (forward, backward) = (sum(|time| time.forward_ms), sum(|time| time.backward_ms));
    let update = sum(|time| time.update_ms);
    let _ = writeln!(text, "| all | {forward:.2} | {backward:.2} | {update:.2} | | |");
    let all = forward + backward + update;
    let _ = writeln!(text, "\n{}.", record.adam_text());
    let _ = writeln!(
        text,
        "\nOf a step whose layers are timed, {:.1} ms, they and Adam take {all:.1}; the rest is the loss, what lies between\n\
         layers, and the copies that the timing makes there.",
        record.recorded_step_ms,
    );
    for (name, rivalry) in record.rivalries() {
        let _ = writeln!(text, "\nBeside {name}: {}.", rivalry.measured);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(step_ms: &[f64], mib: u64) -> Measurement {
        let details = Details {
            layers: vec![LayerTime { name: "fc5".to_owned(), forward_ms: 10.0, backward_ms: 20.0, update_ms: 2.0 }],
            roof_gflop_per_s: 200.0,
            memory_gb_per_s: 40.0,
            recorded_step_ms: 70.0,
            n_parameters: 3_000_000,
        };
        Measurement {
            step_ms: step_ms.to_vec(),
            update_ms: 3.0,
            memory_before_bytes: Some(mib << 19),
            peak_memory_bytes: Some(mib << 20),
            threads: 2,
            details: Some(details),
        }
    }

    fn record(net: &str) -> Record {
        let surroundings = Surroundings {
            command: format!("cargo xtask bench {net}"),
            commit: Some(Commit { hash: "0123456789ab".to_owned(), dirty: true }),
            date: "2026-01-02T03:04:05Z".to_owned(),
            cpu: "a processor".to_owned(),
            candle_version: Some("0.1".to_owned()),
            gemm_version: None,
            torch_version: Some("2.0".to_owned()),
        };
        let layers = Some(vec![("fc5".to_owned(), 3.0), ("deconv1".to_owned(), 5.0)]);
        let mut record = Record::new(net, 8, measurement(&[99.0], 100), layers, surroundings);
        let ours = [measurement(&[40.0, 50.0, 60.0], 100), measurement(&[44.0, 60.0, 61.0], 100)];
        let theirs = [measurement(&[100.0], 300), measurement(&[80.0], 200)];
        let mut rivalry = Rivalry { measured: "then and there".to_owned(), ..Rivalry::default() };
        for (ours, theirs) in ours.iter().zip(&theirs) {
            rivalry.add(ours, theirs);
        }
        record.set_pairs(&ours);
        record.pytorch = Some(rivalry);
        record
    }

    #[test]
    fn figures_are_medians_of_pairs() {
        let record = record("digits-v2").with_headline();
        // Medians 50 and 60 against 100 and 80: ratios 0.5 and 0.75; 8 GFLOP in 55 ms are 145 GFLOP/s, 73 % of 200.
        assert_eq!((record.ours_ms, record.ours_best_ms), (55.0, 40.0));
        assert_eq!((record.pytorch_ms, record.ratio), (Some(90.0), Some(0.625)));
        let text = record.text();
        assert!(text.contains("ratio to PyTorch: 0.62 (0.50 to 0.75)"), "{text}");
        assert!(text.contains("8.0 GFLOP, 145 GFLOP/s, 73 % of the product's 200"), "{text}");
    }

    #[test]
    fn the_table_keeps_the_last_figures_of_every_network() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|error| Error::file("a temporary folder", error))?;
        let results = ResultsDir::new(folder.path());
        keep(&results, &record("digits-v2"))?;
        keep(&results, &record("digits-v1"))?;
        let mut newer = record("digits-v2");
        newer = Record { pytorch: None, memory_mib: memory_mib(&measurement(&[33.0], 1)), ..newer };
        newer.set_pairs(&[measurement(&[33.0], 1)]);
        keep(&results, &newer)?;
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| Error::file(path, error));
        let table = read(&results.bench())?;
        assert_eq!(table.matches("| digits-v2, 8 |").count(), 1, "{table}");
        assert!(table.contains("| digits-v2, 8 | 55 (33) | 90 | 0.62 (0.50 to 0.75) | – |"), "{table}");
        assert!(table.contains("| digits-v1, 8 | 55 (40) |"), "{table}");
        assert!(
            table.contains("| 1 (0) | 200 (100) |"),
            "memory of the newer run, and of the kept comparison: {table}"
        );
        assert!(table.contains("Of a step whose layers are timed, 70.0 ms, they and Adam take 32.0"), "{table}");
        assert_eq!(table.matches("Beside PyTorch: then and there.").count(), 2, "{table}");
        // 3 million parameters of 28 bytes in 3 ms are 28 GB/s, 70 % of 40.
        assert!(table.contains("Adam: 3.0 ms, 3.0 million parameters, 28 GB/s, 70 % of 40 of y ← y + a·x."), "{table}");
        // 3 GFLOP in 30 ms are 100 GFLOP/s, half of 200.
        assert!(table.contains("| fc5 | 10.00 | 20.00 | 2.00 | 3.00 | 50 % |"), "{table}");
        assert!(table.contains("commit 0123456789ab with changes, a processor, candle 0.1, PyTorch 2.0, 2 threads"));
        let json = read(&results.bench_json())?;
        for field in ["\"net\": \"digits-v2\"", "\"ours_ms\": 55.0", "\"pytorch_ms\": 90.0", "\"ratio\": 0.625"] {
            assert!(json.contains(field), "{field} in {json}");
        }
        std::fs::write(results.bench_json(), "{}").map_err(|error| Error::file(results.bench_json(), error))?;
        let refused = keep(&results, &newer).map_or_else(|error| error.to_string(), |()| String::new());
        assert!(refused.contains("bench.json: holds no figures of ours"), "{refused}");
        Ok(())
    }
}
