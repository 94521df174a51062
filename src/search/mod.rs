//! Texts found by their words: TF-IDF weights, cosine similarity.

pub mod index;
pub mod journal;
pub mod words;

#[cfg(feature = "python")]
pub mod python;
