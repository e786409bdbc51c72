//! A player: a state machine that hunts in the fields, and sells and buys at the market.
//!
//! ```text
//!            laden: to_market
//!   fields -------------------> market
//!          <-------------------
//!         nothing left: to_fields
//! ```
//!
//! In each state the player does one step and then waits for the next. The wait is a state
//! time-out, not a `sleep` in a callback. So a waiting player is idle, handles other messages, and
//! never delays your upgrade.

use std::time::Duration;

use pq_stats::{Dice, Stats};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{
    Exit, GenStatem, NotStarted, Pid, State, StatemEvent, Transition, Value, env, gen_event, log,
};
use serde::{Deserialize, Serialize};

use crate::hero::Hero;
use crate::pq_enemy;
use crate::pq_events::Event;
use crate::pq_quest::{self, Quest};
use crate::registry;

/// The time of one step if the environment has no `pace_ms`.
const PACE_MS: u64 = 800;

/// The data of the state machine.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Player {
    hero: Hero,
    /// The event manager of the player.
    events: Pid,
    dice: Dice,
    /// New in 1.1.0. `None` while the board does not answer.
    quest: Option<Quest>,
}

/// The data of 1.0.0.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PlayerV100 {
    hero: Hero,
    events: Pid,
    dice: Dice,
}

/// The states of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    Fields,
    Market,
}

/// The calls of a player.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Returns the hero.
    Sheet,
}

/// The casts of a player.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Leaves the game.
    Leave,
}

/// The time-out for the next step.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Step;

impl GenStatem for Player {
    type Args = (String, Stats);
    type State = Place;
    type Call = Request;
    type Reply = Hero;
    type Cast = Order;
    type Message = ();
    type Own = Step;

    async fn init((name, stats): Self::Args) -> Result<(Transition<Self>, Self), NotStarted> {
        registry::register(&name).await?;
        let events = registry::whereis(&registry::events_of(&name)).await?;
        let quest = Some(Quest::first());
        let player = Self { hero: Hero::new(name, stats), events, dice: Dice::default(), quest };
        Ok((player.go(Place::Fields)?, player))
    }

    async fn handle_event(&mut self, place: &Place, event: StatemEvent<Self>) -> Transition<Self> {
        let next = match (place, event) {
            (_, StatemEvent::Call(from, Request::Sheet)) => {
                return Transition::keep().reply(from, &self.hero);
            }
            (_, StatemEvent::Cast(Order::Leave)) => return Transition::stop(Exit::Normal),
            (Place::Fields, StatemEvent::StateTimeout(Step)) => self.hunt().await,
            (Place::Market, StatemEvent::StateTimeout(Step)) => self.trade(),
            _ => return Transition::keep(),
        };
        next.and_then(|place| self.go(place)).unwrap_or_else(Transition::stop)
    }

    fn change_code(_from: &str, place: State, data: State, _extra: Value) -> Result<(Place, Self), Exit> {
        let PlayerV100 { hero, events, dice } = data.read()?;
        Ok((place.read()?, Self { hero, events, dice, quest: Some(Quest::first()) }))
    }

    /// Down: drops the quest, because 1.0.0 has none.
    fn change_code_down(&self, place: &Place, _to: &str, _extra: Value) -> Result<(State, State), Exit> {
        let (hero, events, dice) = (self.hero.clone(), self.events, self.dice.clone());
        Ok((State::write(place)?, State::write(&PlayerV100 { hero, events, dice })?))
    }
}

impl Player {
    async fn hunt(&mut self) -> Result<Place, Exit> {
        let enemy = match pq_enemy::meet().await {
            Ok(enemy) => enemy,
            Err(error) => {
                log::warn!("{} met no enemy and looks again: {error}", self.hero.name);
                return Ok(Place::Fields);
            }
        };
        let events = self.hero.fight(enemy, &mut self.dice);
        events.iter().try_for_each(|event| self.tell(event))?;
        if events.iter().any(|event| matches!(event, Event::Killed { .. })) {
            self.pursue().await?;
        }
        if self.hero.is_laden() { self.leave_for(Place::Market) } else { Ok(Place::Fields) }
    }

    /// Counts a kill for the quest, and completes the quest at the last one.
    async fn pursue(&mut self) -> Result<(), Exit> {
        let Some(quest) = &mut self.quest else {
            self.quest = self.next_quest().await;
            return Ok(());
        };
        if !quest.is_done_by_one_more() {
            return Ok(());
        }
        let Quest { title: done, experience, .. } = quest.clone();
        self.quest = self.next_quest().await;
        let next = self.quest.as_ref().map(|quest| quest.title.clone());
        self.tell(&Event::Quest { done, experience, next })?;
        self.hero.learn(experience).map_or(Ok(()), |leveled| self.tell(&leveled))
    }

    async fn next_quest(&self) -> Option<Quest> {
        let next = pq_quest::next().await;
        next.inspect_err(|error| log::warn!("{} got no quest: {error}", self.hero.name)).ok()
    }

    fn trade(&mut self) -> Result<Place, Exit> {
        match self.hero.trade() {
            Some(event) => self.tell(&event).map(|()| Place::Market),
            None => self.leave_for(Place::Fields),
        }
    }

    fn leave_for(&self, place: Place) -> Result<Place, Exit> {
        self.tell(&match place {
            Place::Fields => Event::ToFields { money: self.hero.money, experience: self.hero.experience },
            Place::Market => Event::ToMarket,
        })?;
        Ok(place)
    }

    fn tell(&self, event: &Event) -> Result<(), Exit> {
        Ok(gen_event::notify(self.events, event)?)
    }

    /// Moves to a place, where the time-out starts the next step.
    fn go(&self, place: Place) -> Result<Transition<Self>, Exit> {
        Ok(Transition::next(place).state_timeout(self.pace()?, &Step))
    }

    /// Returns the time of a step. Low dexterity makes it up to twice as long.
    fn pace(&self) -> Result<Duration, Exit> {
        let pace_ms = env("pace_ms")?.unwrap_or(PACE_MS);
        let slowness = 40 - u64::from(self.hero.stats.dexterity.min(20));
        Ok(Duration::from_millis(pace_ms * slowness / 20))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reld_sdk::harness::{Node, RunningStatem, Sent, pid};

    use super::*;
    use crate::pq_enemy::{Enemy, Item};

    /// Two steps of the slowest player.
    const STEPS: Duration = Duration::from_millis(4 * PACE_MS);

    fn regis(request: &Value) -> Result<Value, Exit> {
        let asked: BTreeMap<String, String> = request.read()?;
        match asked.keys().next().map(String::as_str) {
            Some("register") => Ok(Value::write("done")?),
            _ => Ok(Value::write(&BTreeMap::from([("pid", pid(9))]))?),
        }
    }

    fn ant() -> Enemy {
        let loot = Item { name: "Crumb".to_owned(), value: 1 };
        Enemy { name: "Ant".to_owned(), power: 0, experience: 1, loot }
    }

    /// A player on a node with ants as the only enemies.
    fn player() -> RunningStatem<Player> {
        let newcomer = ("ada", Stats::roll(&mut Dice::seeded(1)));
        Node::new()
            .name("regis", pid(7))
            .name("pq_enemy", pid(8))
            .answer_calls(
                |to, request| {
                    if to == pid(7) { regis(&request) } else { Ok(Value::write(&ant())?) }
                },
            )
            .start_statem(&newcomer)
            .expect("starts")
    }

    #[test]
    fn a_player_hunts_until_it_is_laden_and_sells_at_the_market() {
        let mut ada = player();
        while ada.state().map(|machine| *machine.state()) == Some(Place::Fields) {
            ada.advance(STEPS).expect("lives");
        }
        while ada.state().map(|machine| *machine.state()) == Some(Place::Market) {
            ada.advance(STEPS).expect("lives");
        }
        let hero: Hero = ada.call(&Request::Sheet).expect("it answers");
        assert!(hero.experience > 0 && hero.money > 0, "{hero:?}");
        let told = ada.sent();
        assert!(told.iter().all(|sent| matches!(sent, Sent::Cast(to, _) if *to == pid(9))), "{told:?}");
    }

    #[test]
    fn a_player_without_enemies_looks_again() {
        let newcomer = ("ada", Stats::roll(&mut Dice::seeded(1)));
        let node = Node::new().name("regis", pid(7)).answer_calls(|_, request| regis(&request));
        let mut ada: RunningStatem<Player> = node.start_statem(&newcomer).expect("starts");
        ada.advance(STEPS).expect("lives");
        assert_eq!(ada.sent(), []);
        assert_eq!(ada.ended(), None);
    }

    #[test]
    fn a_quest_is_completed_by_kills_even_if_no_other_one_follows() {
        let mut ada = player();
        let quest =
            |ada: &RunningStatem<Player>| ada.state().and_then(|machine| machine.data().quest.clone());
        while quest(&ada).is_some() {
            ada.advance(STEPS).expect("lives");
        }
        // The harness has no board: the player continues without a quest and asks again after each
        // kill.
        ada.advance(STEPS).expect("lives");
        let hero: Hero = ada.call(&Request::Sheet).expect("it answers");
        assert!(hero.experience >= Quest::first().experience, "{hero:?}");
    }

    #[test]
    fn up_adds_the_first_quest_down_drops_it_and_both_keep_the_hero() {
        let hero = Hero::new("ada".to_owned(), Stats::roll(&mut Dice::seeded(1)));
        let old = PlayerV100 { hero, events: pid(9), dice: Dice::seeded(1) };
        let state = |state: &Place| State::write(state).expect("a state is written");
        let up = Player::change_code(
            "1.0.0",
            state(&Place::Market),
            State::write(&old).expect("a state is written"),
            Value::nothing(),
        );
        let (place, new) = up.expect("it goes up");
        assert_eq!((place, new.quest.as_ref(), &new.hero), (Place::Market, Some(&Quest::first()), &old.hero));
        let (place, data) = new.change_code_down(&place, "1.0.0", Value::nothing()).expect("it goes down");
        assert_eq!((place, data.read()), (state(&Place::Market), Ok(old)));
    }

    #[test]
    fn the_cast_leave_ends_a_player_normally() {
        let mut ada = player();
        ada.cast(&Order::Leave).expect("lives");
        assert_eq!(ada.ended(), Some(&Exit::Normal));
    }
}
