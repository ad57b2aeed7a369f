"""Names that make a picture model invent: places, brands and persons that it has seen too often.

Captioning models guess them from a hat or a hedge, and some write all in lower case, so that a capital
does not give a name away. Words that are names only with a capital (china, turkey, apple) are not here.
"""

__all__ = ["KNOWN_NAMES"]

_PLACES = """
africa, alaska, algeria, america, amsterdam, argentina, arizona, asia, athens, atlanta, australia,
austria, baghdad, bangkok, barcelona, beijing, belgium, berlin, big ben, bombay, boston, brazil,
british, broadway, brooklyn, brussels, budapest, buenos aires, cairo, california, canada,
central park, chicago, chinatown, colorado, copenhagen, cuba, dallas, delhi, denmark, detroit, dublin,
edinburgh, egypt, eiffel tower, empire state building, england, ethiopia, europe, florence, florida,
france, geneva, germany, golden gate bridge, grand canyon, greece, hamburg, harlem, havana, hawaii,
helsinki, hiroshima, hollywood, hong kong, hungary, iceland, india, indonesia, iran, iraq, ireland,
israel, istanbul, italy, jamaica, japan, jerusalem, johannesburg, kansas, kenya, kyoto, las vegas,
lisbon, liverpool, london, los angeles, louisiana, louvre, madrid, manchester, manhattan, marseille,
melbourne, mexico, miami, michigan, milan, montreal, morocco, moscow, mount everest, mount fuji,
mount rushmore, mumbai, munich, naples, nebraska, nevada, new england, new jersey, new orleans, new york,
new york city, new zealand, niagara falls, nigeria, north america, norway, notre dame, ohio, oklahoma,
oregon, osaka, oslo, pakistan, paris, pennsylvania, peru, philadelphia, poland, portugal, prague, quebec,
rio de janeiro, rome, russia, saint petersburg, san francisco, saudi arabia, scotland, seattle, shanghai,
sicily, singapore, south africa, south america, soviet union, spain, stockholm, stonehenge, sweden,
switzerland, sydney, taj mahal, texas, times square, tokyo, toronto, tower bridge, united kingdom,
united states, vatican, venice, versailles, vienna, vietnam, wales, wall street, warsaw, washington,
white house, yellowstone, zurich
"""
_BRANDS = """
adidas, airbus, bbc, bmw, boeing, budweiser, burger king, cadillac, cbs, chevrolet, chrysler, cnn,
coca cola, coca-cola, disney, facebook, ferrari, getty images, google, gucci, harley davidson,
harley-davidson, heineken, honda, ikea, instagram, kodak, lamborghini, lego, louis vuitton, mcdonald's,
mcdonalds, mercedes, mercedes-benz, mgm, microsoft, mitsubishi, nbc, netflix, nike, nintendo, pepsi,
pepsi-cola, pixar, playboy, porsche, rolex, rolls royce, rolls-royce, samsung, shutterstock, sony,
starbucks, toyota, twitter, volkswagen, volvo, walmart, warner bros, warner brothers, wikipedia, youtube
"""
_PERSONS = """
abraham lincoln, adolf hitler, albert einstein, alfred hitchcock, audrey hepburn, barack obama,
bette davis, brigitte bardot, buster keaton, cary grant, charlie chaplin, che guevara, clark gable,
clint eastwood, donald trump, douglas fairbanks, elizabeth taylor, elvis presley, frank sinatra,
franklin roosevelt, fred astaire, gandhi, george clooney, george washington, ginger rogers,
grace kelly, greta garbo, harold lloyd, harry potter, hillary clinton, humphrey bogart, ingrid bergman,
james bond, james dean, jesus christ, john f kennedy, john f. kennedy, john kennedy, john lennon,
john wayne, judy garland, katharine hepburn, king charles, king george, lenin, madonna, marilyn monroe,
marlene dietrich, marlon brando, martin luther king, mary pickford, mickey mouse, michael jackson,
mussolini, napoleon, nelson mandela, oliver hardy, orson welles, oscar wilde, pablo picasso,
queen elizabeth, queen victoria, richard nixon, robert de niro, ronald reagan, rudolph valentino,
sherlock holmes, sophia loren, stalin, stan laurel, star trek, star wars, steve mcqueen,
superman, the beatles, tom cruise, vladimir putin, walt disney, winston churchill
"""

KNOWN_NAMES: tuple[str, ...] = tuple(
    sorted(
        {
            " ".join(name.split())
            for group in (_PLACES, _BRANDS, _PERSONS)
            for name in group.replace("\n", " ").split(",")
        },
        key=lambda name: (-len(name), name),
    )
)
