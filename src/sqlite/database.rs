//! Statements on a pool of connections, and the search in long-term memories.

use super::pool::{Pool, refused};
use crate::errors::{Error, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, Statement};
use std::path::Path;

/// Statements apart by blank lines; the Python twin reads it, too.
const SCHEMA: &str = include_str!("../../fast_crewai/database/schema.sql");
const IN_PLACE: &str = "SELECT count(*) FROM sqlite_master WHERE name IN ('long_term_memories', \
     'long_term_memories_fts', 'long_term_memories_fts_insert', 'long_term_memories_fts_delete', \
     'long_term_memories_fts_update')";
const SEARCH: &str = "SELECT m.id, m.task_description, m.metadata, m.datetime, m.score, f.rank \
     FROM (SELECT rowid, rank FROM long_term_memories_fts WHERE long_term_memories_fts MATCH ?1 \
     ORDER BY rank, rowid LIMIT ?2) f JOIN long_term_memories m ON m.id = f.rowid \
     ORDER BY f.rank, m.id";

/// Words that more rows have tell little, and ranking all those rows takes long.
const COMMON: i64 = 2000;
const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM long_term_memories_fts \
     WHERE long_term_memories_fts MATCH ?1 LIMIT ?2)";

pub enum Parameters {
    Positional(Vec<Value>),
    Named(Vec<(String, Value)>),
}

#[derive(Debug, Default)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

pub struct Database {
    pool: Pool,
}

impl Database {
    /// Opens or makes the file; adds what the search needs, once, without touching rows.
    pub fn open(path: &Path, connections: usize) -> Result<Self> {
        let pool = Pool::new(path, connections);
        pool.with(|connection| {
            let in_place = || connection.query_row(IN_PLACE, [], |row| row.get::<_, i64>(0));
            if in_place().map_err(refused)? == 5 {
                return Ok(());
            }
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(refused)?;
            if in_place().map_err(refused)? < 5 {
                connection.execute_batch(SCHEMA).map_err(refused)?;
            }
            connection.execute_batch("COMMIT").map_err(refused)
        })?;
        Ok(Database { pool })
    }

    pub fn query(&self, sql: &str, parameters: &Parameters) -> Result<Rows> {
        self.pool
            .with(|connection| rows(connection, sql, parameters))
    }

    /// How many rows a statement changed.
    pub fn update(&self, sql: &str, parameters: &Parameters) -> Result<u64> {
        self.pool
            .with(|connection| changes(connection, sql, parameters))
    }

    /// The same of several statements, all or none.
    pub fn batch(&self, statements: &[(String, Parameters)]) -> Result<Vec<u64>> {
        self.pool.with(|connection| {
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(refused)?;
            let each = statements
                .iter()
                .map(|(sql, parameters)| changes(connection, sql, parameters));
            let counts = each.collect::<Result<Vec<u64>>>()?;
            connection.execute_batch("COMMIT").map_err(refused)?;
            Ok(counts)
        })
    }

    /// A new row's id.
    pub fn insert(&self, sql: &str, parameters: &Parameters) -> Result<i64> {
        self.pool.with(|connection| {
            changes(connection, sql, parameters)?;
            Ok(connection.last_insert_rowid())
        })
    }

    /// The memories whose descriptions fit best: those with all words first, then those with any
    /// of the rarer ones.
    pub fn search(&self, query: &str, limit: u32) -> Result<Rows> {
        let words = quoted_words(query);
        if words.is_empty() || limit == 0 {
            return Ok(Rows::default());
        }
        self.pool.with(|connection| {
            let search = |joined: String| {
                let parameters = vec![Value::Text(joined), Value::Integer(limit.into())];
                rows(connection, SEARCH, &Parameters::Positional(parameters))
            };
            let mut found = search(words.join(" "))?;
            if words.len() > 1 && found.rows.len() < limit as usize {
                let known: Vec<_> = found
                    .rows
                    .iter()
                    .filter_map(|row| row.first().cloned())
                    .collect();
                for row in search(rarer(connection, words)?.join(" OR "))?.rows {
                    if found.rows.len() < limit as usize
                        && row.first().is_some_and(|id| !known.contains(id))
                    {
                        found.rows.push(row);
                    }
                }
            }
            Ok(found)
        })
    }
}

/// The words that few rows have; all of them if there are none such.
fn rarer(connection: &Connection, words: Vec<String>) -> Result<Vec<String>> {
    let mut rare = Vec::new();
    for word in &words {
        let parameters = vec![Value::Text(word.clone()), Value::Integer(COMMON + 1)];
        let found = rows(connection, COUNT, &Parameters::Positional(parameters))?;
        if !matches!(found.rows.first().and_then(|row| row.first()), Some(Value::Integer(n)) if *n > COMMON)
        {
            rare.push(word.clone());
        }
    }
    Ok(if rare.is_empty() { words } else { rare })
}

/// Each word as a string of FTS5's syntax, in which nothing is an operator.
fn quoted_words(query: &str) -> Vec<String> {
    query
        .split(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)) // as Python
        .map(|word| word.replace('\0', "").replace('"', "\"\""))
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect()
}

fn bind(statement: &mut Statement<'_>, parameters: &Parameters) -> Result<()> {
    let wanted = statement.parameter_count();
    match parameters {
        Parameters::Positional(values) => {
            if values.len() != wanted {
                let text = format!("{wanted} parameters are needed, {} given", values.len());
                return Err(Error::Database(text));
            }
            for (index, value) in values.iter().enumerate() {
                statement
                    .raw_bind_parameter(index + 1, value)
                    .map_err(refused)?;
            }
        }
        Parameters::Named(values) => {
            for index in 1..=wanted {
                let name = statement.parameter_name(index).unwrap_or_default();
                let name = name.get(1..).unwrap_or_default().to_owned();
                let Some((_, value)) = values.iter().find(|(own, _)| *own == name) else {
                    let text = format!("no value for parameter {index} ({name:?})");
                    return Err(Error::Database(text));
                };
                statement
                    .raw_bind_parameter(index, value)
                    .map_err(refused)?;
            }
        }
    }
    Ok(())
}

fn rows(connection: &Connection, sql: &str, parameters: &Parameters) -> Result<Rows> {
    if sql.contains('\0') {
        return Err(Error::Database("a null character in SQL".to_owned()));
    }
    let mut statement = connection.prepare_cached(sql).map_err(refused)?;
    bind(&mut statement, parameters)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    if columns.is_empty() && statement.expanded_sql().is_none() {
        return Ok(Rows::default()); // nothing but comments
    }
    let mut rows = Vec::new();
    let mut cursor = statement.raw_query();
    while let Some(row) = cursor.next().map_err(refused)? {
        let value = |index| row.get::<_, Value>(index).map_err(refused);
        rows.push((0..columns.len()).map(value).collect::<Result<_>>()?);
    }
    Ok(Rows { columns, rows })
}

fn changes(connection: &Connection, sql: &str, parameters: &Parameters) -> Result<u64> {
    let before = connection.total_changes();
    rows(connection, sql, parameters)?;
    Ok(if connection.total_changes() == before {
        0 // `changes` would be those of an earlier statement
    } else {
        connection.changes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_safe_and_ranked() {
        let database = Database::open(Path::new(":memory:"), 3).unwrap();
        let insert = "INSERT INTO long_term_memories (task_description) VALUES (?)";
        for text in ["write a report", "a report about \"cats\"", "feed the cats"] {
            let parameters = Parameters::Positional(vec![Value::Text(text.to_owned())]);
            assert_eq!(database.update(insert, &parameters).unwrap(), 1);
        }
        let found = |query: &str| -> Vec<Value> {
            let rows = database.search(query, 9).unwrap().rows;
            rows.into_iter().map(|row| row[0].clone()).collect()
        };
        assert_eq!(found("cats report"), [2, 1, 3].map(Value::Integer));
        assert_eq!(found("report NOT cats"), [2, 1, 3].map(Value::Integer));
        for odd in ["\"", "*", "a:b", "NEAR(", "^x", "\0", "", "- +", "col: {}"] {
            found(odd);
        }
    }

    #[test]
    fn transactions_end_with_the_call() {
        let database = Database::open(Path::new(":memory:"), 1).unwrap();
        let none = Parameters::Positional(Vec::new());
        assert!(matches!(
            database.update("BEGIN", &none),
            Err(Error::Database(_))
        ));
        let batch = [
            (
                "INSERT INTO long_term_memories (score) VALUES (1)".to_owned(),
                Parameters::Positional(vec![]),
            ),
            ("nonsense".to_owned(), Parameters::Positional(vec![])),
        ];
        assert!(database.batch(&batch).is_err());
        let count = database
            .query("SELECT count(*) FROM long_term_memories", &none)
            .unwrap();
        assert_eq!(count.rows, [[Value::Integer(0)]]);
        assert_eq!(database.update("CREATE TABLE x (y)", &none).unwrap(), 0);
    }
}
