//! Word lists of the generator. Some hold characters that XML must escape or that take more than one byte.

/// First halves of titles.
pub const FIRST: [&str; 16] = [
    "river stone",
    "winter glass",
    "a quiet harbour",
    "seven lamps",
    "the northern light",
    "copper leaves",
    "ash & ember",
    "an hour before dawn",
    "salt roads",
    "the last orchard",
    "paper boats",
    "tide < moon",
    "blue ladder",
    "early snow",
    "the glass forest",
    "wren's song",
];
/// Second halves of titles.
pub const SECOND: [&str; 16] = [
    "winter glass",
    "other stories",
    "a memoir",
    "the long field",
    "café letters",
    "a second summer",
    "maps of rain",
    "notes on silence",
    "Überfahrt",
    "the red door",
    "a gardener's year",
    "low water",
    "stone & sky",
    "the clockmaker",
    "half a century",
    "what the sea kept",
];
/// First halves of author names.
pub const GIVEN: [&str; 12] = [
    "Silent", "Amber", "Early", "Northern", "Bright", "Hollow", "Quiet", "Little", "Élodie", "Bjørn", "Second", "Grey",
];
/// Second halves of author names.
pub const FAMILY: [&str; 12] =
    ["Harbour", "Meadow", "Winter", "Lark", "Stone", "Ferry", "Mill", "Orchard", "O'Brien", "Müller", "Heath", "Wells"];
/// Countries.
pub const COUNTRY: [&str; 10] = [
    "India",
    "Norway",
    "Côte d'Ivoire",
    "Chile",
    "Japan",
    "Kenya",
    "Portugal",
    "Canada",
    "Trinidad & Tobago",
    "Türkiye",
];
/// Genres.
pub const GENRE: [&str; 8] = ["forest", "history", "poetry", "travel", "science", "crime", "letters", "garden"];
/// Languages.
pub const LANGUAGE: [&str; 5] = ["en", "de", "fr", "pt", "ja"];
/// Currencies.
pub const CURRENCY: [&str; 3] = ["EUR", "USD", "GBP"];
