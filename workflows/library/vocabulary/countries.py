"""ISO 3166-1: alpha-2, alpha-3, and the names that people use, one country or territory per line (two where long).

The codes and English names are those of the standard as of November 2026; names after the first are additional ones.
`XK` and `XKX` for Kosovo are codes in use that the standard leaves to its users.
"""

from typing import Final

COUNTRIES: Final = """\
AD AND Andorra; Principality of Andorra
AE ARE United Arab Emirates; UAE; Emirates
AF AFG Afghanistan; Islamic Republic of Afghanistan
AG ATG Antigua and Barbuda
AI AIA Anguilla
AL ALB Albania
AM ARM Armenia
AO AGO Angola
AQ ATA Antarctica
AR ARG Argentina; Argentine Republic
AS ASM American Samoa
AT AUT Austria; Österreich
AU AUS Australia
AW ABW Aruba
AX ALA Åland Islands
AZ AZE Azerbaijan
BA BIH Bosnia and Herzegovina
BB BRB Barbados
BD BGD Bangladesh; People's Republic of Bangladesh
BE BEL Belgium; België; Belgique; Belgien
BF BFA Burkina Faso
BG BGR Bulgaria
BH BHR Bahrain
BI BDI Burundi
BJ BEN Benin
BL BLM Saint Barthélemy
BM BMU Bermuda
BN BRN Brunei Darussalam; Brunei
BO BOL Bolivia, Plurinational State of; Bolivia; Plurinational State of Bolivia
BQ BES Bonaire, Sint Eustatius and Saba
BR BRA Brazil; Federative Republic of Brazil; Brasil
BS BHS Bahamas
BT BTN Bhutan
BV BVT Bouvet Island
BW BWA Botswana
BY BLR Belarus
BZ BLZ Belize
CA CAN Canada
CC CCK Cocos (Keeling) Islands
CD COD Congo, The Democratic Republic of the; DR Congo; DRC
CF CAF Central African Republic
CG COG Congo; Congo-Brazzaville
CH CHE Switzerland; Swiss Confederation; Schweiz; Suisse; Svizzera
CI CIV Côte d'Ivoire; Ivory Coast
CK COK Cook Islands
CL CHL Chile
CM CMR Cameroon
CN CHN China; People's Republic of China; PRC; Mainland China
CO COL Colombia
CR CRI Costa Rica
CU CUB Cuba
CV CPV Cabo Verde; Cape Verde
CW CUW Curaçao
CX CXR Christmas Island
CY CYP Cyprus
CZ CZE Czechia; Czech Republic; Česko
DE DEU Germany; Federal Republic of Germany; Deutschland; BRD; Allemagne
DJ DJI Djibouti
DK DNK Denmark; Danmark
DM DMA Dominica
DO DOM Dominican Republic
DZ DZA Algeria; People's Democratic Republic of Algeria
EC ECU Ecuador
EE EST Estonia; Eesti
EG EGY Egypt; Arab Republic of Egypt
EH ESH Western Sahara
ER ERI Eritrea
ES ESP Spain; España; Spanien
ET ETH Ethiopia; Federal Democratic Republic of Ethiopia
FI FIN Finland; Suomi
FJ FJI Fiji
FK FLK Falkland Islands (Malvinas)
FM FSM Micronesia, Federated States of; Federated States of Micronesia
FO FRO Faroe Islands
FR FRA France; French Republic; Frankreich
GA GAB Gabon; Gabonese Republic
GB GBR United Kingdom; United Kingdom of Great Britain and Northern Ireland; Great Britain; Britain; England; Scotland
GB GBR Wales; Northern Ireland; UK
GD GRD Grenada
GE GEO Georgia
GF GUF French Guiana; Guyane
GG GGY Guernsey
GH GHA Ghana
GI GIB Gibraltar
GL GRL Greenland
GM GMB Gambia
GN GIN Guinea
GP GLP Guadeloupe
GQ GNQ Equatorial Guinea
GR GRC Greece; Hellenic Republic; Hellas; EL
GS SGS South Georgia and the South Sandwich Islands
GT GTM Guatemala
GU GUM Guam
GW GNB Guinea-Bissau
GY GUY Guyana
HK HKG Hong Kong; Hong Kong Special Administrative Region of China; Hong Kong SAR
HM HMD Heard Island and McDonald Islands
HN HND Honduras
HR HRV Croatia; Hrvatska
HT HTI Haiti
HU HUN Hungary; Magyarország
ID IDN Indonesia
IE IRL Ireland; Éire; Republic of Ireland
IL ISR Israel
IM IMN Isle of Man
IN IND India
IO IOT British Indian Ocean Territory
IQ IRQ Iraq
IR IRN Iran, Islamic Republic of; Iran; Islamic Republic of Iran
IS ISL Iceland
IT ITA Italy; Italian Republic; Italia; Italien
JE JEY Jersey
JM JAM Jamaica
JO JOR Jordan; Hashemite Kingdom of Jordan
JP JPN Japan
KE KEN Kenya
KG KGZ Kyrgyzstan; Kyrgyz Republic
KH KHM Cambodia
KI KIR Kiribati
KM COM Comoros; Union of the Comoros
KN KNA Saint Kitts and Nevis
KP PRK Korea, Democratic People's Republic of; North Korea; Democratic People's Republic of Korea; DPRK
KR KOR Korea, Republic of; South Korea; Korea; Republic of Korea
KW KWT Kuwait
KY CYM Cayman Islands
KZ KAZ Kazakhstan
LA LAO Lao People's Democratic Republic; Laos
LB LBN Lebanon; Lebanese Republic
LC LCA Saint Lucia
LI LIE Liechtenstein; Principality of Liechtenstein
LK LKA Sri Lanka; Democratic Socialist Republic of Sri Lanka
LR LBR Liberia
LS LSO Lesotho
LT LTU Lithuania; Lietuva
LU LUX Luxembourg; Grand Duchy of Luxembourg; Luxemburg
LV LVA Latvia; Latvija
LY LBY Libya
MA MAR Morocco
MC MCO Monaco; Principality of Monaco
MD MDA Moldova, Republic of; Moldova
ME MNE Montenegro
MF MAF Saint Martin (French part); Saint Martin
MG MDG Madagascar
MH MHL Marshall Islands
MK MKD North Macedonia; Macedonia
ML MLI Mali
MM MMR Myanmar; Burma
MN MNG Mongolia
MO MAC Macao; Macao Special Administrative Region of China; Macau
MP MNP Northern Mariana Islands
MQ MTQ Martinique
MR MRT Mauritania; Islamic Republic of Mauritania
MS MSR Montserrat
MT MLT Malta
MU MUS Mauritius
MV MDV Maldives
MW MWI Malawi
MX MEX Mexico; United Mexican States
MY MYS Malaysia
MZ MOZ Mozambique
NA NAM Namibia
NC NCL New Caledonia
NE NER Niger
NF NFK Norfolk Island
NG NGA Nigeria; Federal Republic of Nigeria
NI NIC Nicaragua
NL NLD Netherlands; Holland; Nederland
NO NOR Norway; Norge; Norwegen
NP NPL Nepal; Federal Democratic Republic of Nepal
NR NRU Nauru
NU NIU Niue
NZ NZL New Zealand; Aotearoa
OM OMN Oman; Sultanate of Oman
PA PAN Panama
PE PER Peru
PF PYF French Polynesia
PG PNG Papua New Guinea; Independent State of Papua New Guinea
PH PHL Philippines
PK PAK Pakistan; Islamic Republic of Pakistan
PL POL Poland; Polska; Polen
PM SPM Saint Pierre and Miquelon
PN PCN Pitcairn
PR PRI Puerto Rico
PS PSE Palestine, State of
PT PRT Portugal; Portuguese Republic
PW PLW Palau
PY PRY Paraguay
QA QAT Qatar
RE REU Réunion; La Réunion; Reunion Island
RO ROU Romania; România
RS SRB Serbia
RU RUS Russian Federation; Russia
RW RWA Rwanda; Rwandese Republic
SA SAU Saudi Arabia
SB SLB Solomon Islands
SC SYC Seychelles
SD SDN Sudan
SE SWE Sweden; Sverige
SG SGP Singapore
SH SHN Saint Helena, Ascension and Tristan da Cunha
SI SVN Slovenia; Slovenija
SJ SJM Svalbard and Jan Mayen
SK SVK Slovakia; Slovak Republic; Slovensko
SL SLE Sierra Leone
SM SMR San Marino
SN SEN Senegal
SO SOM Somalia; Federal Republic of Somalia
SR SUR Suriname
SS SSD South Sudan
ST STP Sao Tome and Principe; Democratic Republic of Sao Tome and Principe
SV SLV El Salvador
SX SXM Sint Maarten (Dutch part)
SY SYR Syrian Arab Republic; Syria
SZ SWZ Eswatini; Swaziland
TC TCA Turks and Caicos Islands
TD TCD Chad
TF ATF French Southern Territories
TG TGO Togo; Togolese Republic
TH THA Thailand
TJ TJK Tajikistan
TK TKL Tokelau
TL TLS Timor-Leste; Democratic Republic of Timor-Leste; East Timor
TM TKM Turkmenistan
TN TUN Tunisia
TO TON Tonga
TR TUR Türkiye; Turkey
TT TTO Trinidad and Tobago
TV TUV Tuvalu
TW TWN Taiwan, Province of China; Taiwan
TZ TZA Tanzania, United Republic of; Tanzania; United Republic of Tanzania
UA UKR Ukraine
UG UGA Uganda
UM UMI United States Minor Outlying Islands
US USA United States; United States of America; America
UY URY Uruguay; Eastern Republic of Uruguay
UZ UZB Uzbekistan
VA VAT Holy See (Vatican City State); Vatican; Vatican City
VC VCT Saint Vincent and the Grenadines
VE VEN Venezuela, Bolivarian Republic of; Venezuela; Bolivarian Republic of Venezuela
VG VGB Virgin Islands, British; British Virgin Islands
VI VIR Virgin Islands, U.S.; Virgin Islands of the United States; US Virgin Islands
VN VNM Viet Nam; Vietnam; Socialist Republic of Viet Nam
VU VUT Vanuatu
WF WLF Wallis and Futuna
WS WSM Samoa; Independent State of Samoa
YE YEM Yemen
YT MYT Mayotte
ZA ZAF South Africa
ZM ZMB Zambia
ZW ZWE Zimbabwe
XK XKX Kosovo
"""
