//! Records as they are stored: named MessagePack, so that programs of several versions read each other's.

use serde::{Serialize, de::DeserializeOwned};

/// Deeper nesting than any record of ours; more would only be there to overflow the stack.
const MAX_DEPTH: usize = 64;

/// The bytes of a record; the error says why it has none.
pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(record).map_err(|e| e.to_string())
}

/// A record from all of `bytes`; the error says what is wrong with them. Fields that this program does not know are
/// passed over.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut rest = bytes;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(MAX_DEPTH);
    let record = T::deserialize(&mut decoder).map_err(|e| e.to_string())?;
    match rest.len() {
        0 => Ok(record),
        more => Err(format!("{more} bytes follow after its end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ident::SiloId,
        store::{Manifest, MemberRow, SiloStatus},
    };
    use serde::Deserialize;

    /// A row as a newer program writes it.
    #[derive(Serialize)]
    struct NewerRow<'a> {
        silo: &'a SiloId,
        address: &'a str,
        region: &'a str,
        status: &'a str,
    }

    #[test]
    fn a_row_of_a_newer_program_is_read_as_far_as_it_is_known() {
        let silo = SiloId::new("s1", 7);
        let newer = NewerRow {
            silo: &silo,
            address: "host:1",
            region: "mars",
            status: "Paused",
        };
        let row: MemberRow = decode(&encode(&newer).expect("encodes")).expect("is read");
        assert_eq!(row.status, SiloStatus::Other);
        assert_eq!((row.silo, row.address.as_str()), (silo, "host:1"));
        assert_eq!(row.manifest, Manifest::default());
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        let mut bytes = encode(&"record").expect("encodes");
        bytes.push(0xc0);
        let why = decode::<String>(&bytes).expect_err("one byte too many");
        assert!(why.contains("1 bytes follow"), "{why}");
    }

    #[test]
    fn endless_nesting_is_refused() {
        #[derive(Debug, Deserialize)]
        struct Nest(#[allow(dead_code, reason = "only its decoding matters")] Vec<Nest>);
        let mut bytes = vec![0x91; 100_000];
        bytes.push(0x90);
        assert!(decode::<Nest>(&bytes).is_err());
    }
}
