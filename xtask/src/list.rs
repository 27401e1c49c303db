//! `cargo xtask list`

use anyhow::Result;
use multigen_training::Request;

use crate::output;
use crate::workspace::Places;

pub fn run(places: &Places) -> Result<()> {
    let catalogue = places.catalogue()?;
    let names = catalogue.names()?;
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let request = Request { profile: "quick".to_owned(), ..Request::default() };
    let mut text = String::new();
    for name in &names {
        text += &format!("{name:width$}  {}\n", catalogue.resolve_any(name, &request)?.about().question);
    }
    output::write(&text)
}
