//! Laws of names: what differs is different, whatever characters it is made of.

use super::values::{actor, change_view, entry, load, owned, register, registered, request, row, save, state, table};
use crate::{
    ident::{ActorId, SiloId},
    store::{Change, Store},
};
use std::sync::Arc;

/// Owner, epoch and state of one say nothing about the other.
pub async fn equal_keys_of_different_kinds_are_different_actors(store: Arc<dyn Store>) {
    let (cart, user) = (actor("cart", "alice"), actor("user", "alice"));
    let (one, other) = (SiloId::new("a", 1), SiloId::new("b", 1));
    register(&*store, &one, &cart).await;
    save(&*store, request(&cart, &one, 1, None, "of the cart")).await;
    assert_eq!(register(&*store, &other, &user).await, registered(1, None));
    assert_eq!(entry(&*store, &cart).await, owned(&one, 1));
    assert_eq!(load(&*store, &user).await, None);
    assert_eq!(load(&*store, &cart).await, Some(state(1, "of the cart")));
}

/// Kinds and keys with quotes, wildcards, separators, and what some programs take for equal.
pub async fn odd_names_do_not_collide(store: Arc<dyn Store>) {
    let long = "k".repeat(ActorId::MAX_LEN);
    let almost = format!("{}l", &long[1..]);
    let mut names: Vec<(&str, &str)> = vec![
        ("a", "b/c"),
        ("a/b", "c"),
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "bc"),
        ("ab", "c"),
        (" a", "c"),
        ("a", "c"),
        ("a", "c "),
        ("a ", "c"),
        ("A", "c"),
        ("a", "C"),
        ("a", "1"),
        ("a", "01"),
        ("a", "1.0"),
        ("a", "NULL"),
        ("a", "*"),
        ("a", "?"),
        ("a", "%"),
        ("a", "_"),
        ("a", "{c}"),
        ("a", "'"),
        ("a", "''"),
        ("a", "\""),
        ("a", "\\"),
        ("a", "'; DROP TABLE entries; --"),
        ("a", "é"),
        ("a", "e\u{301}"),
        ("a", "ß"),
        ("a", "ss"),
        ("a", "東京"),
        ("a", "🦀"),
        ("a", "\u{200b}"),
        ("a", "\u{feff}c"),
        ("a", "|"),
        ("a|", "c"),
        ("a", "#1"),
        ("a", &long),
        ("a", &almost),
    ];
    names.sort_unstable();
    let actors: Vec<ActorId> = names.iter().map(|(kind, key)| actor(kind, key)).collect();
    let owner = SiloId::new("a", 1);
    for (number, actor) in actors.iter().enumerate() {
        assert_eq!(register(&*store, &owner, actor).await, registered(1, None), "{actor}");
        save(&*store, request(actor, &owner, 1, None, &number.to_string())).await;
    }
    for (number, actor) in actors.iter().enumerate() {
        assert_eq!(
            load(&*store, actor).await,
            Some(state(1, &number.to_string())),
            "{actor}"
        );
    }
    assert_eq!(store.owned_by(&owner).await.expect("owned_by answers"), actors);
}

/// Silos whose names and incarnations look alike when written together.
pub async fn odd_silo_names_do_not_collide(store: Arc<dyn Store>) {
    let mut silos = vec![
        SiloId::new("s", 1),
        SiloId::new("s", 11),
        SiloId::new("s1", 1),
        SiloId::new("s#1", 1),
        SiloId::new("s#1#1", 1),
        SiloId::new("s:1", 1),
        SiloId::new("S", 1),
        SiloId::new("s ", 1),
        SiloId::new("s'\"\\", 1),
        SiloId::new("é", 1),
        SiloId::new("e\u{301}", 1),
    ];
    silos.sort();
    for (view, silo) in (0..).zip(&silos) {
        change_view(&*store, view, Change::Put(row(silo))).await;
        let own = actor("cart", &view.to_string());
        assert_eq!(register(&*store, silo, &own).await, registered(1, None), "{silo}");
    }
    let found: Vec<SiloId> = table(&*store).await.rows.into_iter().map(|row| row.silo).collect();
    assert_eq!(found, silos);
    for (number, silo) in silos.iter().enumerate() {
        let own = actor("cart", &number.to_string());
        assert_eq!(entry(&*store, &own).await, owned(silo, 1));
        assert_eq!(store.owned_by(silo).await.expect("owned_by answers"), [own], "{silo}");
    }
}
