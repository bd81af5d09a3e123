//! What the macros' output has checked while the user's crate is compiled.

/// Fails the build if the message `at` is called on the wire as one before it.
///
/// `types` are the messages of `kind` as the user wrote them, `names` their wire names in the same order.
#[track_caller]
pub const fn assert_distinct(kind: &str, types: &[&str], names: &[&str], at: usize) {
    let mut earlier = 0;
    while earlier < at {
        if is_equal(names[earlier], names[at]) {
            let text = Text::new()
                .add("the messages `")
                .add(types[earlier])
                .add("` and `")
                .add(types[at])
                .add("` of the kind `")
                .add(kind)
                .add("` are both called \"")
                .add(names[at])
                .add("\"; change the `#[message(name = \"...\")]` of one of them");
            panic!("{}", text.as_str());
        }
        earlier += 1;
    }
}

const fn is_equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A text put together by the compiler, which cannot format.
struct Text {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Text {
    /// Room for the longest kind and name and for types of common length.
    const CAPACITY: usize = 2048;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::CAPACITY],
            len: 0,
        }
    }

    /// Adds a part; leaves it out if it does not fit, so that the text is never cut within a character.
    const fn add(mut self, part: &str) -> Self {
        let part = part.as_bytes();
        if part.len() > Self::CAPACITY - self.len {
            return self;
        }
        let mut index = 0;
        while index < part.len() {
            self.bytes[self.len] = part[index];
            self.len += 1;
            index += 1;
        }
        self
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "two messages of a kind share a wire name",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_names_pass() {
        assert_distinct("cart", &["Add", "Get", "Clear"], &["add", "get", "clear"], 2);
    }

    #[test]
    #[should_panic(expected = "the messages `Add` and `Clear` of the kind `cart` are both called \"add\"")]
    fn a_shared_name_fails_and_names_both_messages() {
        assert_distinct("cart", &["Add", "Get", "Clear"], &["add", "get", "add"], 2);
    }

    #[test]
    fn a_text_without_room_leaves_parts_out() {
        let long = "ä".repeat(Text::CAPACITY);
        assert_eq!(Text::new().add("a").add(&long).add("b").as_str(), "ab");
    }
}
