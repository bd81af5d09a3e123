use quark::prelude::*;

#[derive(Message, Serialize, Deserialize)]
struct NoAttribute;

#[derive(Message, Serialize, Deserialize)]
#[message(reply = usize)]
struct NoName;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart add")]
struct NameWithSpace;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", answer = usize)]
struct UnknownKey;

#[derive(Message, Serialize, Deserialize)]
#[message(name("cart.add"))]
struct NameInParentheses;

#[derive(Message, Serialize, Deserialize)]
#[message(name = Add)]
struct NameNotQuoted;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add", name = "cart.put")]
struct NameTwice;

#[derive(Message, Serialize, Deserialize)]
#[message = "cart.add"]
struct NotAList;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "cart.add")]
struct Generic<T>(T);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "quark.add")]
struct NameOfQuark;

fn main() {}
