//! Just enough of SQL's lexical form to check a definition: words, quoted text, comments and signs, with their lines.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// An unquoted word or a number, in lower case.
    Word(String),
    /// Quoted text or a quoted name.
    Quoted,
    /// Any other character.
    Sign(char),
}

/// The tokens with their lines, counted from `first_line`.
pub(crate) fn tokens(sql: &str, first_line: usize) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    let mut line = first_line;
    let mut chars = sql.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '\n' => line += 1,
            blank if blank.is_whitespace() => {}
            '-' if chars.peek() == Some(&'-') => {
                while chars.peek().is_some_and(|&following| following != '\n') {
                    chars.next();
                }
            }
            quote @ ('\'' | '"') => {
                let start = line;
                while let Some(inner) = chars.next() {
                    if inner == '\n' {
                        line += 1;
                    }
                    if inner == quote {
                        if chars.peek() == Some(&quote) {
                            chars.next();
                        } else {
                            break;
                        }
                    }
                }
                found.push((start, Token::Quoted));
            }
            first if first.is_alphanumeric() || first == '_' => {
                let mut word = first.to_lowercase().to_string();
                while let Some(&following) = chars.peek() {
                    if !(following.is_alphanumeric() || following == '_') {
                        break;
                    }
                    word.extend(following.to_lowercase());
                    chars.next();
                }
                found.push((line, Token::Word(word)));
            }
            sign => found.push((line, Token::Sign(sign))),
        }
    }
    found
}
