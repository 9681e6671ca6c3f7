// The answer of an identity provider came from its site, without the cookies of this one: send it once more from here.
document.querySelector("form[data-go-on]").submit();
