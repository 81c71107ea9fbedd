//! The plots in `docs/`.

use std::path::PathBuf;

use plotters::prelude::*;

/// Pixels.
const SIZE: (u32, u32) = (760, 420);
const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(255, 127, 14), RGBColor(214, 39, 40)];

/// A line: its name, and its points.
pub type Line = (&'static str, Vec<(f64, f64)>);

/// Draws lines over a logarithmic axis into a file of `docs/`.
pub fn draw(file: &str, title: &str, axes: (&str, &str), lines: &[Line]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let points = || lines.iter().flat_map(|(_, points)| points);
    let first = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.15;
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d((first..last).log_scale(), 0.0..top)
        .unwrap();
    chart.configure_mesh().x_desc(axes.0).y_desc(axes.1).light_line_style(WHITE).draw().unwrap();
    for ((name, points), colour) in lines.iter().zip(COLOURS) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(4);
        let drawn = chart.draw_series(line).unwrap();
        drawn.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    if lines.len() > 1 {
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperLeft).border_style(BLACK).background_style(WHITE).draw().unwrap();
    }
    area.present().unwrap();
}
