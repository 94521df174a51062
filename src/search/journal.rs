//! The file of a memory store: a line of JSON for each record, only ever appended to.

use crate::errors::{Error, Result};
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the last complete line ends.
    end: u64,
}

impl Journal {
    /// Opens or makes the file. What a killed process left half written is cut off.
    pub fn open(path: &Path) -> Result<(Self, String)> {
        let failed = |error: std::io::Error| broken(path, &error);
        if let Some(folder) = path.parent() {
            create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let complete = bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        if complete < bytes.len() {
            file.set_len(complete as u64).map_err(failed)?;
            bytes.truncate(complete);
        }
        let lines = String::from_utf8(bytes).map_err(|error| broken(path, &error))?;
        let journal = Journal {
            path: path.to_owned(),
            file,
            end: complete as u64,
        };
        Ok((journal, lines))
    }

    /// Appends a line, or leaves the file as it was.
    pub fn append(&mut self, line: &str) -> Result<()> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&bytes));
        if let Err(error) = written {
            let _ = self.file.set_len(self.end); // the next append overwrites what is left
            return Err(broken(&self.path, &error));
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Removes all lines.
    pub fn clear(&mut self) -> Result<()> {
        let cleared = self.file.set_len(0);
        cleared.map_err(|error| broken(&self.path, &error))?;
        self.end = 0;
        Ok(())
    }
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Storage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_and_half_ones_do_not() {
        let folder =
            std::env::temp_dir().join(format!("fast-crewai-journal-{}", std::process::id()));
        let path = folder.join("deep").join("store.jsonl");
        let (mut journal, lines) = Journal::open(&path).unwrap();
        assert_eq!(lines, "");
        journal.append("\"é\"").unwrap();
        journal.append("2").unwrap();
        std::fs::write(&path, "\"é\"\n2\n{\"half").unwrap();
        let (mut journal, lines) = Journal::open(&path).unwrap();
        assert_eq!(lines, "\"é\"\n2\n");
        journal.append("3").unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, "\"é\"\n2\n3\n");
        journal.clear().unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, "");
        assert!(matches!(Journal::open(&folder), Err(Error::Storage(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
