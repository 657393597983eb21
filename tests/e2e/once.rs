//! Each member counts once: on two rosters, on the way to another unit, suspended meanwhile.

use super::{refused, story};
use anyhow::{Context, Result, ensure};
use fenbu::client::Route;
use fenbu_tests::cluster::{Cluster, Node};
use serde_json::{Value, json};

fn open(node: &Node) -> Result<Vec<(String, String)>> {
    let listed = node.get(Route::new("conflicts"))?;
    let items = listed["items"].as_array().context("a list")?;
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(|item| (text(item, "case"), text(item, "id"))).collect())
}

fn cases(node: &Node) -> Result<Vec<String>> {
    Ok(open(node)?.into_iter().map(|(case, _)| case).collect())
}

/// People by unit, as head office counts them.
fn people(cluster: &Cluster, unit: &str) -> Result<i64> {
    let answer = cluster.node("head").get(Route::new("reports/roster"))?;
    let lines = answer["lines"].as_array().context("lines")?;
    let line = lines.iter().find(|l| l["key"] == unit).context("the unit's line")?;
    line["cells"]["people"]["done"].as_i64().context("a number")
}

#[test]
fn one_person_on_two_rosters_is_found_by_head_office_alone_and_merged_until_it_says_otherwise() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let number = json!("320102196509210017");
        let wang = json!({"name": "王海", "stage": "full", "id_number": number});
        let first = cluster.node("alice").writes("members", wang)?;
        let again = json!({"name": "王海涛", "stage": "full", "id_number": number});
        let second = cluster.node("bob").writes("members", again)?;
        cluster.node("bob").writes("members", json!({"name": "李雪", "stage": "full"}))?;
        cluster.settle()?;
        let head = cluster.node("head");
        assert_eq!(cases(head)?, ["same_person_elsewhere"]);
        for name in ["alice", "bob"] {
            assert_eq!(cases(cluster.node(name))?, Vec::<String>::new(), "{name} learns nothing");
        }
        let guess = Route::new("members").query("birth", "1965-09-21");
        let guess = head.get(guess).unwrap_err().to_string();
        ensure!(guess.contains("is personal"), "a masked value is not confirmed: {guess}");
        let (_, id) = open(head)?.remove(0);
        let shown = head.fenbu(&["conflicts", "show", &id])?.ok()?;
        ensure!(!shown.contains("19650921"), "the number itself is not shown: {shown}");

        let kept = if first < second { "1" } else { "2" };
        head.fenbu(&["conflicts", "settle", &id, kept, "--note", "同一人"])?.ok()?;
        cluster.settle()?;
        assert_eq!((people(cluster, "lianyungang")?, people(cluster, "yancheng")?), (1, 1));
        assert_eq!(cluster.node("bob").lists("members")?.len(), 1, "the alias is in no list");
        assert_eq!(cluster.node("bob").shows("members", &second)?["fields"]["same_as"], first);

        // It was a mistake.
        let head = cluster.node("head");
        head.edits("members", &second, json!({"same_as": null}))?;
        cluster.settle()?;
        assert_eq!((people(cluster, "lianyungang")?, people(cluster, "yancheng")?), (1, 2));
        assert_eq!(open(cluster.node("head"))?[0].1, id, "it is the same conflict again");
        Ok(())
    });
}

#[test]
fn a_member_who_is_suspended_stays_where_they_are() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let alice = cluster.node("alice");
        let member = |name: &str| alice.writes("members", json!({"name": name, "stage": "full"}));
        let (li, wang) = (member("李雪")?, member("王海")?);
        let transfer = |member: &str| {
            let fields = json!({"member": member, "from_unit": "lianyungang", "to_unit": "head"});
            alice.writes("transfers", fields)
        };
        let (of_li, of_wang) = (transfer(&li)?, transfer(&wang)?);
        // With both before it, the suspension freezes the transfer by itself.
        alice.fenbu(&["member", "suspend", &li, "--note", "长期不参加组织生活"])?.ok()?;
        cluster.settle()?;
        let head = cluster.node("head");
        assert_eq!(head.shows("transfers", &of_li)?["fields"]["status"], "frozen");
        let received = head.fenbu(&["transfer", "receive", &of_li])?;
        refused(&received, 1, &["cannot be taken from the state 'frozen'"])?;
        assert_eq!(cases(head)?, Vec::<String>::new());

        // Apart: received here, suspended there.
        cluster.cut("alice");
        cluster.apart("head", "alice")?;
        let (head, alice) = (cluster.node("head"), cluster.node("alice"));
        head.fenbu(&["transfer", "receive", &of_wang])?.ok()?;
        assert_eq!((people(cluster, "head")?, people(cluster, "lianyungang")?), (1, 1));
        alice.fenbu(&["member", "suspend", &wang, "--note", "违纪"])?.ok()?;
        cluster.heal();
        cluster.settle()?;
        for name in ["head", "alice"] {
            assert_eq!(cases(cluster.node(name))?, ["transfer_of_suspended"], "{name}");
        }
        assert_eq!(
            (people(cluster, "head")?, people(cluster, "lianyungang")?),
            (0, 2),
            "standing wins"
        );
        let (head, (_, id)) = (cluster.node("head"), open(cluster.node("head"))?.remove(0));
        head.fenbu(&["conflicts", "settle", &id, "received", "--note", "已核实"])?.ok()?;
        assert_eq!(cases(head)?, Vec::<String>::new());
        assert_eq!((people(cluster, "head")?, people(cluster, "lianyungang")?), (1, 1));
        Ok(())
    });
}
