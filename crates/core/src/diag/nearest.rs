//! Finds the word that somebody may have meant.

/// A longer word has no nearest candidate, because the time of a comparison grows with the product of both lengths.
const WORD_MAX_CHARS: usize = 60;

/// The candidate with the smallest distance (number of edits) to the word. A candidate counts only if its distance is
/// at most 1 + length of the word / 4, and smaller than its own length. Upper and lower case are the same.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length > WORD_MAX_CHARS {
        return None;
    }
    let limit = 1 + length / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(steps, candidate)| *steps <= limit && *steps < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Number of edits between two words: insert, delete or change a character, or swap two neighbours.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let changed = rows[i][j] + usize::from(a != b);
            let mut best = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        let known = ["code_length", "friendly_name", "sms"];
        assert_eq!(nearest("code_lenght", known), Some("code_length"));
        assert_eq!(nearest("friendlyname", known), Some("friendly_name"));
        assert_eq!(nearest("SMS", known), Some("sms"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
