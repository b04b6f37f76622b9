//! The two-letter country codes (ISO 3166-1 alpha-2) that both vendors use.

/// All assigned codes as of November 2026, and XK, which is not assigned but commonly used for Kosovo.
const CODES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ \
UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Whether a text is the code of a country, in capital letters.
pub fn is_country(code: &str) -> bool {
    code.len() == 2 && CODES.split(' ').any(|known| known == code)
}

/// The help message for a text that is not the code of a country. It says what to write instead.
pub fn suggestion(code: &str) -> String {
    let capitals = code.to_ascii_uppercase();
    match capitals.as_str() {
        "UK" => "did you mean GB?".into(),
        "EU" => "list the countries of the EU one by one: AT, BE, …".into(),
        _ if is_country(&capitals) => format!("did you mean {capitals}?"),
        _ => "write two capital letters of ISO 3166, as DE, GB or US; \"NO\" in quotes".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_those_of_the_standard() {
        assert_eq!(CODES.split(' ').count(), 250, "249 and Kosovo");
        assert!(["AT", "GB", "NO", "US", "ZW"].iter().all(|code| is_country(code)));
        assert!(!["XX", "UK", "EU", "de", "", "A", "AT BE", "ZZ"].iter().any(|code| is_country(code)));
        assert_eq!(
            (suggestion("UK").as_str(), suggestion("de").as_str()),
            ("did you mean GB?", "did you mean DE?")
        );
    }
}
