//! Draws the screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Sparkline, Table, TableState};
use ringway::Role;
use ringway::inspect::{QueueKind, Snapshot};

use super::model::{Model, Row, State, alive, dead};
use crate::escape::escape;
use crate::stat::{Rates, describe, holder, liveness, mode, process};
use crate::text::{ago, count, rate};

/// Bars of a sparkline in the table.
const SPARK: usize = 20;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Colours, if they are enabled.
#[derive(Clone, Copy)]
struct Palette {
    has_colour: bool,
}

impl Palette {
    fn with(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, has_colour: bool) {
    let palette = Palette { has_colour };
    let [title, list, detail, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(4),
        Constraint::Length(detail_height(frame.area())),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let directory = model.directory.display().to_string();
    let text = format!("{}: {} queues, by {:?}", escape(&directory), model.rows.len(), model.order);
    frame.render_widget(Line::styled(text, Style::new().add_modifier(Modifier::BOLD)), title);
    draw_list(frame, list, model, palette);
    if let Some(row) = model.selected_row() {
        draw_detail(frame, detail, row, palette);
    }
    let help = "q quit   up, down select   s sort";
    frame.render_widget(Line::styled(help, Style::new().add_modifier(Modifier::DIM)), keys);
}

fn detail_height(area: Rect) -> u16 {
    (area.height / 2).clamp(4, 16)
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let header = ["queue", "kind", "in", "out", "waiting", "held", "used", "in/s", "out/s", "in/s lately"];
    let header = TableRow::new(header).style(Style::new().add_modifier(Modifier::DIM));
    let rows = model.rows.iter().map(|row| list_row(row, palette));
    let widths = [
        Constraint::Min(20),
        Constraint::Length(9),
        Constraint::Length(3),
        Constraint::Length(3),
        Constraint::Length(11),
        Constraint::Length(7),
        Constraint::Length(5),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(SPARK as u16),
    ];
    let table = Table::new(rows, widths)
        .header(header)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(Some(model.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

fn list_row(row: &Row, palette: Palette) -> TableRow<'static> {
    let name = row.path.file_name().unwrap_or(row.path.as_os_str()).to_string_lossy();
    let name = escape(&name).into_owned();
    let (snapshot, rates) = match &row.state {
        State::Seen { snapshot, rates } => (snapshot, rates),
        State::Broken(_) => {
            let cells = [Cell::new(format!("{name} (corrupted)")), Cell::new("?")];
            return TableRow::new(cells).style(palette.with(Color::Red));
        }
    };
    let style = match () {
        () if !snapshot.corruption.is_empty() || dead(snapshot) > 0 => palette.with(Color::Red),
        () if used(snapshot) >= 90 => palette.with(Color::Yellow),
        () => Style::new(),
    };
    let unknown = |number: Option<u64>| number.map_or("?".into(), count);
    TableRow::new([
        name,
        format!("{:?}", snapshot.header.kind).to_uppercase(),
        alive(snapshot, Role::Producer).to_string(),
        alive(snapshot, Role::Consumer).to_string(),
        unknown(snapshot.backlog.waiting),
        unknown(snapshot.backlog.held),
        format!("{}%", used(snapshot)),
        per_second(rates.as_ref(), |rates| rates.sent),
        per_second(rates.as_ref(), |rates| rates.taken),
        sparkline(row),
    ])
    .style(style)
}

fn used(snapshot: &Snapshot) -> u64 {
    (snapshot.backlog.used.min(snapshot.backlog.capacity) as u128 * 100
        / snapshot.backlog.capacity.max(1) as u128) as u64
}

fn per_second(rates: Option<&Rates>, which: fn(&Rates) -> f64) -> String {
    let unit = |rates: &Rates| if rates.is_bytes { "B" } else { "" };
    rates.map_or("-".into(), |rates| format!("{}{}", rate(which(rates)), unit(rates)))
}

fn sparkline(row: &Row) -> String {
    let last = row.history.iter().skip(row.history.len().saturating_sub(SPARK));
    let most = row.history.iter().copied().max().unwrap_or(0).max(1);
    // No overflow: a rate is at most 2^62 per snapshot.
    last.map(|value| BARS[(u128::from(*value) * 7 / u128::from(most)) as usize]).collect()
}

fn draw_detail(frame: &mut Frame<'_>, area: Rect, row: &Row, palette: Palette) {
    let block = Block::bordered().title(escape(&row.path.display().to_string()).into_owned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let (snapshot, rates) = match &row.state {
        State::Seen { snapshot, rates } => (snapshot, rates),
        State::Broken(error) => {
            let text = Paragraph::new(escape(error).into_owned()).wrap(ratatui::widgets::Wrap { trim: true });
            frame.render_widget(text.style(palette.with(Color::Red)), inside);
            return;
        }
    };
    let [text, graph] =
        Layout::vertical([Constraint::Min(2), Constraint::Length(inside.height / 3)]).areas(inside);
    frame.render_widget(Paragraph::new(lines(snapshot, rates.as_ref(), palette)), text);
    let newest = row.history.iter().rev().copied();
    let graph_widget = Sparkline::default()
        .data(newest)
        .direction(ratatui::widgets::RenderDirection::RightToLeft)
        .style(palette.with(Color::Cyan));
    frame.render_widget(graph_widget, graph);
}

fn lines(snapshot: &Snapshot, rates: Option<&Rates>, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = vec![Line::raw(escape(&describe(&snapshot.header)).into_owned())];
    if let (Some(counters), Some(_)) = (&snapshot.counters, rates) {
        let again = match snapshot.header.kind {
            QueueKind::Broadcast => format!("missed {}", count(counters.lagged)),
            _ => format!("again {}", count(counters.redelivered)),
        };
        lines.push(Line::raw(format!(
            "sent {}, received {}, {again}, deaths {}, dead letters {}",
            count(counters.sent),
            count(counters.received),
            count(counters.deaths),
            count(counters.dead_letters)
        )));
    }
    if let Some(holder) = holder(snapshot) {
        lines.push(Line::raw(escape(&format!("floor {holder}")).into_owned()));
    }
    for corruption in &snapshot.corruption {
        lines.push(Line::styled(escape(&corruption.to_string()).into_owned(), palette.with(Color::Red)));
    }
    for one in &snapshot.participants {
        let since = one.since.map_or(String::new(), |since| format!(", {}", ago(since, snapshot.at)));
        let does = match one.reading {
            None => format!("holds {}", one.holds),
            Some(it) => format!("{}, {} behind, missed {}", it.mode.map_or("?", mode), it.lag, it.lagged),
        };
        let text = format!("{} {}: process {}, {does}{since}", one.role, one.entry, process(one));
        let state = liveness(one);
        let style = if state == "DEAD" { palette.with(Color::Red) } else { Style::new() };
        lines.push(Line::from(vec![
            Span::styled(format!("{state:<6}"), style),
            Span::raw(escape(&text).into_owned()),
        ]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn names_do_nothing_to_the_screen() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a\x1b[2J\nb", "c\u{202e}\u{9b}1m"] {
            // SAFETY: only this test knows the file.
            drop(unsafe { ringway::mpmc::BytesQueue::create(directory.path().join(name)) }.unwrap());
        }
        std::fs::write(directory.path().join("d\x1b[2J"), b"RINGWAY\x1abut no more").unwrap();
        let mut model = Model::new(directory.path().to_path_buf());
        for selected in 0..3 {
            model.refresh().unwrap();
            model.selected = selected;
            let mut terminal = Terminal::new(TestBackend::new(120, 30)).unwrap();
            terminal.draw(|frame| draw(frame, &model, false)).unwrap();
            let screen = terminal.backend().to_string();
            assert!(
                !screen
                    .contains(|character| crate::escape::is_unsafe_to_print(character) && character != '\n'),
                "{screen:?}"
            );
            assert!(screen.contains("a\\u{1b}[2J\\nb") && screen.contains("c\\u{202e}\\u{9b}1m"), "{screen}");
        }
    }

    #[test]
    fn what_is_there_is_drawn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders");
        // SAFETY: only this test knows the file.
        let queue = unsafe { ringway::mpmc::BytesQueue::create(&path) }.unwrap();
        queue.producer().unwrap().send_many(&[b"one", b"two"]).unwrap();
        std::fs::write(directory.path().join("broken"), b"RINGWAY\x1abut no more").unwrap();
        std::fs::write(directory.path().join("other"), b"something else altogether").unwrap();
        let consumer = queue.consumer().unwrap();
        let mut model = Model::new(directory.path().to_path_buf());
        for size in [(120, 30), (40, 12), (10, 3), (1, 1)] {
            model.refresh().unwrap();
            model.select(1);
            let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
            terminal.draw(|frame| draw(frame, &model, true)).unwrap();
            if size.0 == 120 {
                let screen = terminal.backend().to_string();
                for text in ["orders", "MPMC", "broken", "corrupted", "2 queues", "consumer"] {
                    assert!(screen.contains(text), "{text}\n{screen}");
                }
                assert!(!screen.contains("other"), "{screen}");
            }
        }
        drop(consumer);
    }
}
