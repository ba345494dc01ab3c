use super::*;

fn lines(metrics: &Metrics) -> Vec<String> {
    metrics.encode().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

const MAIN: RegistryFigures = RegistryFigures {
    up: Some(true),
    login_expiry: Some(1_900_000_000),
    orphans: Some(1),
    unmanaged: Some(6),
    unmanaged_expiry: Some(1_700_000_000),
};

/// A sample of each.
fn filled() -> Metrics {
    let metrics = Metrics::new("1.2.3");
    metrics.pass("settled", Duration::from_millis(3));
    metrics.step("create_robot", "ok");
    metrics.registry_call("create_robot", "ok", Duration::from_millis(4));
    metrics.kube_write("secret");
    metrics.accounts("ready", 7);
    metrics.not_ready(&BTreeMap::from([("NameTaken", 2)]));
    metrics.overdue(4);
    metrics.expiring(5);
    metrics.queue("queued", 2);
    metrics.earliest_expiry(Some(1_800_000_000));
    metrics.registries(&BTreeMap::from([("main".to_owned(), MAIN)]));
    metrics.namespaced_registries(2, 1, 3);
    metrics.namespaced_registry_call("failed");
    metrics.abandoned();
    metrics.unreadable("RobotAccount", 2);
    metrics.refused("Secret", 1);
    metrics.leading(true);
    metrics.panicked("account");
    metrics
}

#[test]
fn every_metric_appears_under_its_documented_name() {
    let metrics = filled();
    let lines = lines(&metrics);
    for line in [
        r#"harbor_robots_passes_total{result="settled"} 1"#,
        "harbor_robots_pass_duration_seconds_count 1",
        r#"harbor_robots_steps_total{step="create_robot",result="ok"} 1"#,
        r#"harbor_robots_registry_calls_total{call="create_robot",outcome="ok"} 1"#,
        r#"harbor_robots_registry_call_duration_seconds_bucket{le="0.005",call="create_robot"} 1"#,
        r#"harbor_robots_kube_writes_total{what="secret"} 1"#,
        r#"harbor_robots_accounts{state="ready"} 7"#,
        r#"harbor_robots_not_ready_accounts{reason="NameTaken"} 2"#,
        "harbor_robots_overdue_renewals 4",
        "harbor_robots_expiring_accounts 5",
        r#"harbor_robots_queue{state="queued"} 2"#,
        "harbor_robots_earliest_expiry_timestamp_seconds{} 1800000000",
        r#"harbor_robots_registry_up{registry="main"} 1"#,
        r#"harbor_robots_orphans{registry="main"} 1"#,
        r#"harbor_robots_unmanaged_robots{registry="main"} 6"#,
        r#"harbor_robots_unmanaged_expiry_timestamp_seconds{registry="main"} 1700000000"#,
        r#"harbor_robots_login_expiry_timestamp_seconds{registry="main"} 1900000000"#,
        r#"harbor_robots_namespaced_registries{state="not_ready"} 1"#,
        r#"harbor_robots_namespaced_registry_calls_total{result="failed"} 1"#,
        "harbor_robots_namespaced_orphans 3",
        "harbor_robots_abandoned_total 1",
        r#"harbor_robots_unreadable_objects{kind="RobotAccount"} 2"#,
        r#"harbor_robots_refused_lists{kind="Secret"} 1"#,
        "harbor_robots_leading 1",
        r#"harbor_robots_build_info{version="1.2.3"} 1"#,
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is missing in\n{}", lines.join("\n"));
    }
    assert!(metrics.encode().ends_with("# EOF\n"));
}

#[test]
fn what_is_gone_leaves_no_sample() {
    let metrics = Metrics::new("1");
    metrics.registries(&BTreeMap::from([("main".to_owned(), MAIN)]));
    metrics.earliest_expiry(Some(1));
    metrics.registries(&BTreeMap::new());
    metrics.earliest_expiry(None);
    assert!(lines(&metrics).iter().all(|line| !line.contains("main") && !line.contains("expiry")));
}

#[test]
fn a_reason_that_nobody_gives_any_more_is_told_as_none() {
    let metrics = Metrics::new("1");
    metrics.not_ready(&BTreeMap::from([("NameTaken", 2)]));
    metrics.not_ready(&BTreeMap::new());
    assert!(lines(&metrics).contains(&r#"harbor_robots_not_ready_accounts{reason="NameTaken"} 0"#.to_owned()));
}

#[test]
fn the_documentation_lists_every_metric_with_its_type() {
    let text = filled().encode();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE harbor_robots_")?.split_once(' '));
    let named = |(name, kind): (&str, &'static str)| match kind {
        "counter" => (format!("{name}_total"), kind),
        "info" => (format!("{name}_info"), "gauge"),
        _ => (name.to_owned(), kind),
    };
    let kinds = ["counter", "gauge", "histogram", "info"];
    let told = families.map(|(name, kind)| named((name, kinds.into_iter().find(|known| *known == kind).unwrap())));
    let page = include_str!("../../docs/metrics.md").split("## Metrics").nth(1).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed = rows.filter_map(|(name, rest)| {
        let kind = rest.split(' ').next()?;
        Some((name.to_owned(), kinds.into_iter().find(|known| *known == kind)?))
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), listed.collect::<BTreeSet<_>>());
}

#[test]
fn a_registry_in_doubt_is_as_it_was_and_what_is_not_counted_yet_is_not_told() {
    let metrics = Metrics::new("1");
    let tell = |figures| metrics.registries(&BTreeMap::from([("main".to_owned(), figures)]));
    tell(MAIN);
    tell(RegistryFigures::default());
    let of_main: Vec<_> = lines(&metrics).into_iter().filter(|line| line.contains("main")).collect();
    assert_eq!(of_main, [r#"harbor_robots_registry_up{registry="main"} 1"#]);
}

#[test]
fn the_first_panic_is_an_increase() {
    let metrics = Metrics::new("1");
    let line = |count: u32| format!(r#"harbor_robots_panics_total{{what="account"}} {count}"#);
    assert!(lines(&metrics).contains(&line(0)));
    metrics.panicked("account");
    assert!(lines(&metrics).contains(&line(1)));
}
