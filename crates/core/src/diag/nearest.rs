//! Finds the word that somebody may have meant.

/// A longer word has no nearest candidate, because the time of a comparison grows with the product of both lengths.
const WORD_MAX_CHARS: usize = 60;

/// The candidate with the smallest distance (number of edits) to the word. A candidate counts only if its distance is
/// at most 1 + length of the word / 4, and smaller than its own length. Upper and lower case are the same.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = lower(word);
    let length = word.len();
    if length > WORD_MAX_CHARS {
        return None;
    }
    let limit = 1 + length / 4;
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(&word, &lower(candidate), limit)?, candidate)))
        .filter(|(steps, candidate)| *steps < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

fn lower(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Number of edits between two words, if it is at most `limit`: insert, delete or change a character, or swap two
/// neighbours.
fn distance(from: &[char], to: &[char], limit: usize) -> Option<usize> {
    if from.len().abs_diff(to.len()) > limit {
        return None;
    }
    // Three rows of the table of all beginnings of both words: the current one, and the two before it.
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let (mut before, mut row) = (last.clone(), last.clone());
    let mut least_of_last = 0;
    for (i, a) in from.iter().enumerate() {
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = last[j] + usize::from(a != b);
            row[j + 1] = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        let least = row.iter().copied().min().unwrap_or(0);
        // Each further row comes from the two above it, and is nowhere less than both.
        if least > limit && least_of_last > limit {
            return None;
        }
        least_of_last = least;
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    Some(last[to.len()]).filter(|steps| *steps <= limit)
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
