//! The diagram in ARCHITECTURE.md says exactly what a service's machine does: every transition that a long random life
//! shows is drawn, and every one drawn is seen.

use super::*;

type Edges = BTreeSet<(String, String)>;

const SPECS: u64 = 5;
const STEPS: u32 = 60_000;

fn drawn() -> Edges {
    let text = include_str!("../../../../ARCHITECTURE.md");
    let diagram = text
        .split("stateDiagram-v2")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a diagram");
    diagram
        .lines()
        .filter_map(|line| line.split_once(':').map(|(edge, _)| edge))
        .filter_map(|edge| edge.trim().split_once(" --> "))
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .collect()
}

fn name(service: &Service) -> String {
    format!("{:?}", service.state_name())
}

/// Services of every restart policy, with and without a check.
fn spec_of(number: u64) -> Spec {
    let mut spec = spec("one", number != 0);
    spec.restart.policy = match number {
        1 => RestartPolicy::Never,
        2 => RestartPolicy::OnFailure,
        _ => RestartPolicy::Always,
    };
    spec.restart.start_limit = 3;
    spec
}

/// One random thing that can happen to a service.
fn happen(service: &mut Service, choice: u64, now: Duration, random: &mut Random) {
    let run = service.run();
    match (choice, run) {
        (0 | 1, None) if service.is_due(now, true) => {
            let _ = service.start(now, RunId(u64::from(service.spawns as u32)));
        }
        (2 | 3, Some(run)) => service.spawned(run, 7, now),
        (4 | 5, Some(run)) => {
            let _ = service.checked(run, Ok(()), now);
        }
        (6, Some(run)) => {
            let _ = service.checked(run, Err(Failed::Late(now)), now);
        }
        (7..=9, Some(run)) => {
            let code = [0, 1, 78][choice as usize - 7];
            service.exited(run, Some(Exit::Code(code)), None, now, random);
        }
        (10, Some(run)) => service.exited(run, None, None, now, random),
        (11, _) => {
            let _ = service.restart(now);
        }
        (12, _) => {
            let _ = service.stop(Then::Stop, now, None);
        }
        (13.., _) => {
            let _ = service.tick(now);
        }
        _ => {}
    }
}

fn seen() -> Edges {
    let mut edges = Edges::new();
    for number in 0..SPECS {
        let mut service = Service::new(ServiceId(0), spec_of(number));
        let mut random = Random(number);
        let mut now = Duration::ZERO;
        for _ in 0..STEPS {
            let before = name(&service);
            let choice = random.below(16);
            now += millis(random.below(1500));
            happen(&mut service, choice, now, &mut random);
            let after = name(&service);
            if after != before {
                edges.insert((before, after));
            }
            if !service.wanted && service.state == ServiceState::Inactive && random.below(20) == 0 {
                service.wanted = true;
            }
        }
    }
    edges
}

#[test]
fn the_diagram_is_true() {
    let (drawn, seen) = (drawn(), seen());
    let undrawn: Vec<_> = seen.difference(&drawn).collect();
    let unseen: Vec<_> = drawn.difference(&seen).collect();
    assert!(
        undrawn.is_empty() && unseen.is_empty(),
        "not drawn: {undrawn:?}; never seen: {unseen:?}"
    );
}
