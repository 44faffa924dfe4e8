//! `ringway top`: all queues of a directory, live.

mod model;
mod view;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::directory::DEFAULT;
use crate::ending::Outcome;
use crate::interrupt;
use crate::output::{Common, Paint};
use crate::text::parse_duration;

use model::Model;

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The directory
    #[arg(default_value = DEFAULT)]
    directory: PathBuf,
    /// Refresh every TIME
    #[arg(long, short, value_name = "TIME", value_parser = parse_interval, default_value = "1")]
    interval: Duration,
    /// Stop after N refreshes
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    common: Common,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        interval if interval < Duration::from_millis(10) => Err("expected 10ms or more".into()),
        interval => Ok(interval),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!(
            "`top` needs a terminal; for files and pipes there is `ringway stat --json --interval 1 QUEUE`"
        );
    }
    interrupt::watch()?;
    let mut model = Model::new(arguments.directory.clone());
    // An unreadable directory is a readable error, not a broken screen.
    model.refresh()?;
    let mut terminal = ratatui::try_init().context("preparing the terminal")?;
    let result = watch(arguments, &mut model, &mut terminal);
    ratatui::try_restore().context("restoring the terminal")?;
    result
}

fn watch(
    arguments: &Arguments,
    model: &mut Model,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<Outcome> {
    let has_colour = has_colour(&arguments.common);
    let mut updates = 0;
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            model.refresh()?;
            updates += 1;
            next = Instant::now() + arguments.interval;
        }
        terminal.draw(|frame| view::draw(frame, model, has_colour)).context("drawing")?;
        if arguments.count.is_some_and(|count| updates >= count) {
            return Ok(Outcome::Well);
        }
        let until = next.saturating_duration_since(Instant::now()).min(interrupt::SLICE);
        if interrupt::is_requested() {
            return Ok(Outcome::Interrupted);
        }
        match event::poll(until) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("waiting for keys"),
        }
        let Event::Key(key) = event::read().context("reading keys")? else { continue };
        let is_control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind != KeyEventKind::Press => {}
            KeyCode::Char('q') | KeyCode::Esc => return Ok(Outcome::Well),
            _ if is_control_c => return Ok(Outcome::Well),
            KeyCode::Down | KeyCode::Char('j') => model.select(1),
            KeyCode::Up | KeyCode::Char('k') => model.select(-1),
            KeyCode::Char('s') => model.sort_by_next(),
            _ => {}
        }
    }
}

fn has_colour(common: &Common) -> bool {
    Paint::new(common.color).is_on()
}
