//! The levels of a batch, one column per factor: what a generator is asked to draw.

use candle_core::{Device, Tensor};

use crate::{Error, Result};

/// `n` combinations; `columns[f][i]` is image i's level of factor f, in the network's order of factors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelTable {
    columns: Vec<Vec<u32>>,
    n: usize,
}

impl LevelTable {
    /// A table from rows of levels.
    ///
    /// # Errors
    /// When the rows differ in length or there is none.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a [u32]>) -> Result<Self> {
        let mut columns: Vec<Vec<u32>> = Vec::new();
        let mut n = 0;
        for row in rows {
            if n == 0 {
                columns = vec![Vec::new(); row.len()];
            }
            if row.len() != columns.len() {
                return Err(description(format!("row {n} has {} levels, the first has {}", row.len(), columns.len())));
            }
            columns.iter_mut().zip(row).for_each(|(column, level)| column.push(*level));
            n += 1;
        }
        if n == 0 {
            return Err(description("no combination to draw".to_owned()));
        }
        Ok(Self { columns, n })
    }

    /// A table from one column per factor, as the data crate gathers them.
    ///
    /// # Errors
    /// When the columns differ in length or hold nothing.
    pub fn from_columns(columns: Vec<Vec<u32>>) -> Result<Self> {
        let n = columns.first().map_or(0, Vec::len);
        if n == 0 {
            return Err(description("no combination to draw".to_owned()));
        }
        if let Some(column) = columns.iter().find(|column| column.len() != n) {
            return Err(description(format!("a column has {} levels, the first has {n}", column.len())));
        }
        Ok(Self { columns, n })
    }

    /// How many combinations.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Never true: an empty table cannot be made.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// How many factors.
    pub fn n_factors(&self) -> usize {
        self.columns.len()
    }

    /// One factor's levels.
    pub fn column(&self, factor: usize) -> &[u32] {
        &self.columns[factor]
    }

    /// One factor's levels as an index tensor `[n]`, u32.
    pub(crate) fn indices(&self, factor: usize, device: &Device) -> Result<Tensor> {
        Ok(Tensor::new(self.columns[factor].as_slice(), device)?)
    }

    /// The distinct sub-combinations of some factors in the order of their first appearance, and for each row which
    /// of them it is.
    ///
    /// Drawing a content once per distinct combination instead of once per image changes no number; it is the same
    /// sum in another order.
    pub(crate) fn distinct(&self, factors: &[usize]) -> (Vec<usize>, Vec<u32>) {
        let mut seen = std::collections::BTreeMap::new();
        let mut first_rows = Vec::new();
        let positions = (0..self.n)
            .map(|row| {
                let key: Vec<u32> = factors.iter().map(|&f| self.columns[f][row]).collect();
                *seen.entry(key).or_insert_with(|| {
                    first_rows.push(row);
                    (first_rows.len() - 1) as u32
                })
            })
            .collect();
        (first_rows, positions)
    }

    /// Checks the factors' number and every level against the network's.
    pub(crate) fn check(&self, network: &str, factors: &[(String, usize)]) -> Result<()> {
        if factors.len() != self.columns.len() {
            return Err(Error::Description {
                network: network.to_owned(),
                problem: format!("{} factors given, the network has {}", self.columns.len(), factors.len()),
            });
        }
        for ((name, levels), column) in factors.iter().zip(&self.columns) {
            if let Some(&level) = column.iter().find(|&&level| level as usize >= *levels) {
                return Err(Error::Level { factor: name.clone(), level, last: levels.saturating_sub(1) });
            }
        }
        Ok(())
    }
}

fn description(problem: String) -> Error {
    Error::Description { network: "level table".to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_keeps_the_order_of_first_appearance() -> Result<()> {
        let rows: [&[u32]; 4] = [&[3, 1], &[0, 1], &[3, 2], &[0, 5]];
        let table = LevelTable::from_rows(rows)?;
        assert_eq!(table.distinct(&[0]), (vec![0, 1], vec![0, 1, 0, 1]));
        assert_eq!(table.distinct(&[0, 1]), (vec![0, 1, 2, 3], vec![0, 1, 2, 3]));
        Ok(())
    }

    #[test]
    fn impossible_levels_are_named() -> Result<()> {
        let rows: [&[u32]; 1] = [&[3, 9]];
        let table = LevelTable::from_rows(rows)?;
        let factors = [("digit".to_owned(), 10), ("style".to_owned(), 9)];
        let message = table.check("net", &factors).err().map(|e| e.to_string());
        assert_eq!(message.as_deref(), Some("factor style: level 9 asked for, the network has levels 0 to 8"));
        assert!(LevelTable::from_rows(std::iter::empty()).is_err());
        let ragged: [&[u32]; 2] = [&[1, 2], &[1]];
        assert!(LevelTable::from_rows(ragged).is_err());
        Ok(())
    }
}
