//! A QR code as a drawing that stands in a page by itself.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Modules around the code that stay white (ISO/IEC 18004 asks for four).
const QUIET: usize = 4;

/// The code of a text as SVG, a unit a module; None for a text that no code has room for.
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::M).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (at, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
        let (x, y) = (at % width + QUIET, at / width + QUIET);
        let _ = write!(path, "M{x} {y}h1v1h-1z");
    }
    let side = width + 2 * QUIET;
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges" role="img"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d="{path}"/></svg>"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_its_three_corners_and_a_quiet_zone() {
        let drawn = svg("kaopu:report:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU").unwrap();
        let code = QrCode::with_error_correction_level("x", EcLevel::M).unwrap();
        assert_eq!(code.width(), 21);
        // a finder pattern is seven modules wide: its upper row is dark, the row above it quiet
        for x in 4..11 {
            assert!(drawn.contains(&format!("M{x} 4h1v1h-1z")), "{x}");
            assert!(!drawn.contains(&format!("M{x} 3h")), "{x}");
        }
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>"));
        assert!(svg(&"x".repeat(8000)).is_none());
    }
}
