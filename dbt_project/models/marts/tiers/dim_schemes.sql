-- The schemes in force on the night.
with schemes as (

    select * from {{ source('rules', 'schemes') }}

),

newest as (

    select rules_version
    from {{ ref('int_as_of_dates') }}
    where as_of_date = (select max(as_of_date) from {{ ref('int_as_of_dates') }})

)

select
    schemes.scheme,
    schemes.kind,
    schemes.population,
    schemes.label_en,
    schemes.label_zh,
    schemes.description
from schemes
inner join newest
    on schemes.rules_version = newest.rules_version
